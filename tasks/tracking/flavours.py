"""Log models to MLflow: a tensor module, or a model that takes video clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, DataType

MODEL = "model"
"""Name of the model within its run."""

ANSWERS = (("", DataType.string), ("_probability", DataType.double), ("_class", DataType.long), ("_logits", Array(DataType.double)))
"""Suffixes and types of the columns that a clip model returns for each head."""


@dataclass(frozen=True)
class TensorModel:
    """A torch module on the CPU in eval mode, which returns one or more tensors.

    Attributes:
        module: the module.
        example: an input batch of two or more, for input example and signature; a tensor, since an array would become 125 MB of JSON.
        output_names: names of the output tensors.
    """

    module: object
    example: Any
    output_names: tuple[str, ...]

    def log(self, requirements: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Log it to the active run."""
        mlflow.pytorch.log_model(
            self.module,
            name=MODEL,
            signature=_tensor_signature(self.example.shape, self.output_names),
            input_example=self.example,
            pip_requirements=list(requirements),
            metadata=dict(metadata),
        )


@dataclass(frozen=True)
class ClipModel:
    """A checkpoint, with the code that applies it to clips.

    Attributes:
        checkpoint: the file.
        loader: name of the module whose `_load_pyfunc` reads it.
        code: folder of the package with that module, which is logged too.
        heads: heads in the output: `verb` and `noun`, or only `verb`.
    """

    checkpoint: Path
    loader: str
    code: Path
    heads: tuple[str, ...]

    def log(self, requirements: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Log it to the active run."""
        mlflow.pyfunc.log_model(
            name=MODEL,
            loader_module=self.loader,
            data_path=str(self.checkpoint),
            code_paths=[str(self.code)],
            signature=_clip_signature(self.heads),
            pip_requirements=list(requirements),
            metadata=dict(metadata),
        )


def _tensor_signature(shape: Sequence[int], output_names: Sequence[str]) -> ModelSignature:
    """Describe the input frames and the output logits.

    Frames are (clips, segments, height, width, planes), logits (clips, classes) for each output name.
    """
    frames = TensorSpec(np.dtype(np.uint8), (-1, shape[1], -1, -1, shape[4]), "frames")
    return ModelSignature(Schema([frames]), Schema([TensorSpec(np.dtype(np.float32), (-1, -1), name) for name in output_names]))


def _clip_signature(heads: Sequence[str]) -> ModelSignature:
    """Describe the input paths or bytes, and the output columns."""
    answers = [(f"{head}{suffix}", kind) for suffix, kind in ANSWERS for head in heads]
    clip = ColSpec(AnyType())  # type: ignore[no-untyped-call] # MLflow's; without a name, so that a plain list of clips is valid
    return ModelSignature(Schema([clip]), Schema([ColSpec(kind, name) for name, kind in answers]))
