"""Log models that take videos and return intervals, with their tensor modules, to MLflow."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model
from mlflow.models.signature import ModelSignature
from mlflow.types import Schema, TensorSpec

MODEL = "model"
"""Name of the model within its run."""
TENSORS = "tensors"
"""Folder of the tensor module within the model."""


@dataclass(frozen=True)
class TensorModel:
    """A torch module on the CPU in eval mode, which returns one or more tensors.

    Attributes:
        example: frames of two clips or more, (n, segments, height, width, planes); a tensor, since an array would become 125 MB of JSON.
        output_names: names of the logits (n, classes).
    """

    module: object
    example: Any
    output_names: tuple[str, ...]

    def save(self, path: Path, requirements: Sequence[str]) -> Mapping[str, Any]:
        """Save it as a model of its own, and return its flavour."""
        model, shape = Model(), self.example.shape
        frames = Schema([TensorSpec(np.dtype(np.uint8), (-1, shape[1], -1, -1, shape[4]), "frames")])
        logits = Schema([TensorSpec(np.dtype(np.float32), (-1, -1), name) for name in self.output_names])
        mlflow.pytorch.save_model(
            self.module,
            path,
            mlflow_model=model,
            signature=ModelSignature(frames, logits),
            input_example=self.example,
            pip_requirements=list(requirements),
        )
        flavour: Mapping[str, Any] = model.flavors[mlflow.pytorch.FLAVOR_NAME]
        return flavour


@dataclass(frozen=True)
class VideoModel:
    """A checkpoint, with the code that applies it to videos.

    Attributes:
        folder: has the checkpoint, and how it is served.
        loader: name of the module whose `_load_pyfunc` reads the folder.
        code: folder of the package with that module, which is logged with the modules that it imports.
        tensors: the same network for `mlflow.pytorch`, if it has a tensor module.
    """

    folder: Path
    loader: str
    code: Path
    tensors: TensorModel | None

    def log(self, requirements: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Log it to the active run."""
        Model.log(None, self, name=MODEL, metadata=dict(metadata), pip_requirements=list(requirements))

    def save_model(self, path: str, mlflow_model: Model, pip_requirements: Sequence[str]) -> None:
        """Save it in a folder; MLflow requires this name and these arguments of a flavour."""
        with tempfile.TemporaryDirectory(prefix="retake-code-") as folder:
            code = shutil.copytree(self.code, Path(folder, self.code.name), ignore=shutil.ignore_patterns("__pycache__"))
            self._remove_unused(code)
            # Without a signature, so that paths, bytes and frames pass as they are. MLServer refuses a signature without inputs.
            mlflow.pyfunc.save_model(
                path=path,
                loader_module=self.loader,
                data_path=str(self.folder),
                code_paths=[str(code)],
                mlflow_model=mlflow_model,
                pip_requirements=list(pip_requirements),
            )
        if self.tensors:
            flavour = self.tensors.save(Path(path, TENSORS), pip_requirements)
            inside = {"model_data": f"{TENSORS}/{flavour['model_data']}"}
            mlflow_model.add_flavor(mlflow.pytorch.FLAVOR_NAME, **{**flavour, **inside})
            mlflow_model.save(str(Path(path, "MLmodel")))

    def _remove_unused(self, code: Path) -> None:
        """Remove files that the loader does not import: each upload takes some ten milliseconds."""
        finder = ModuleFinder([str(code.parent)])
        finder.import_hook(self.loader)
        used = {vars(module)["__file__"] for module in finder.modules.values()}
        for file in filter(Path.is_file, code.rglob("*")):
            if str(file) not in used:
                file.unlink()
