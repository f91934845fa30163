"""Write the folder of a package: model, contract, program, requirements, read-me and check."""

import io
import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.served.package.contract import Contract
from tasks.served.package.sample import Sample
from tasks.store.records.export import PackageFormat
from tasks.wording import percent, percent_interval

CONTRACT = "contract.json"
TITLES: Mapping[PackageFormat, str] = {"onnx": "ONNX", "openvino": "OpenVINO"}
RUNTIMES: Mapping[PackageFormat, str] = {"onnx": "onnxruntime>=1.20,<2", "openvino": "openvino>=2024.6"}
COMMON = ("av>=16,<19", "numpy>=1.26,<3")
"""The check passes with the lowest versions together (av 16.0.0, numpy 1.26.4, onnxruntime 1.20.0 or openvino 2024.6.0), and with the highest (av 18.1.0,
numpy 2.4.6, onnxruntime 1.32.0 or openvino 2026.4.1). av 15 ends films of a variable rate earlier; av 19 takes no `metadata_errors`."""


def requirements(contract: Contract) -> tuple[str, ...]:
    """List the packages that a package's program needs."""
    return (*COMMON, RUNTIMES[contract.format])


def write_package(folder: Path, contract: Contract, model: Path, sample: Sample) -> None:
    """Write the package into a new folder.

    `model` is an .onnx, or an .xml with its .bin beside it.
    """
    own, check = files(__package__), folder / "check"
    check.mkdir(parents=True)
    for path in (model, model.with_suffix(".bin")):
        if path.is_file():
            shutil.copyfile(path, folder / f"model{path.suffix}")
    described = contract.model_dump_json(indent=1)
    expected = {
        "frame_hashes": sample.frame_hashes,
        "verbs": sample.classes.verbs,
        "nouns": sample.classes.nouns,
        "contract_sha256": sha256(json.dumps(json.loads(described), sort_keys=True).encode()).hexdigest(),
    }
    texts = {
        CONTRACT: described,
        "contract.schema.json": json.dumps(Contract.model_json_schema(mode="serialization"), indent=1),
        "requirements.txt": "\n".join(requirements(contract)),
        "README.md": _readme(contract),
        "Dockerfile": own.joinpath("templates/Dockerfile").read_text(encoding="utf-8"),
        "predict.py": own.joinpath("predict.py").read_text(encoding="utf-8"),
        "check/check.py": own.joinpath("check.py").read_text(encoding="utf-8"),
        "check/expected.json": json.dumps(expected, indent=1),
    }
    for name, text in texts.items():
        (folder / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    (check / "clip.mp4").write_bytes(sample.film)
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **sample.arrays)
    (check / "expected.npz").write_bytes(packed.getvalue())


def _readme(contract: Contract) -> str:
    environment = Environment(  # noqa: S701 - Markdown, not HTML
        loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(percent=percent, interval=percent_interval)
    others = sorted({described.kind for described in contract.inputs} - {"frames"})
    return environment.get_template("README.md.j2").render(
        contract=contract, title=TITLES[contract.format], other_inputs=" and ".join(others)
    )
