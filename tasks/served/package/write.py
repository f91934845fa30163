"""Write the folder of a package, and check it with its requirements alone."""

import io
import json
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from packaging.requirements import Requirement

from tasks.errors import BadConfiguration
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
CHECK_SECONDS = 600


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


@dataclass(frozen=True)
class Part:
    """A part of the check, and the problem with it, empty if there is none."""

    name: str
    problem: str


@dataclass(frozen=True)
class CheckResult:
    """The ordered parts of a package's check, and the packages that it ran with."""

    parts: tuple[Part, ...]
    versions: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        """Tell whether no part is off."""
        return not any(part.problem for part in self.parts)

    def __str__(self) -> str:
        used = ", ".join(f"{name} {version}" for name, version in self.versions)
        return "; ".join(f"{part.name}: {part.problem or 'as expected'}" for part in self.parts) + f" ({used})"


def check_package(folder: Path) -> CheckResult:
    """Run a package's own check in a fresh environment.

    Raises:
        BadConfiguration: a required package is not installed here, or the check does not run or end; the message has its last line.
    """
    needed = tuple(Requirement(line) for line in (folder / "requirements.txt").read_text(encoding="utf-8").split())
    with tempfile.TemporaryDirectory(prefix="retake-check-") as name:
        python = make_environment(Path(name), needed)
        command = [str(python), "-I", str(folder.absolute() / "predict.py"), "--check"]
        try:
            done = subprocess.run(  # noqa: S603 - our own file
                command, cwd=name, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise BadConfiguration(
                f"{folder}: its check takes longer than {CHECK_SECONDS} s; end other work on this machine, or take a smaller network"
            ) from None
    if done.returncode not in (0, 1) or not done.stdout:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise BadConfiguration(
            f"{folder}: its check does not run ({last}); make the package anew, or install {', '.join(map(str, needed))}"
        )
    parts = (json.loads(line) for line in done.stdout.splitlines())
    return CheckResult(
        parts=tuple(Part(part["part"], part["problem"]) for part in parts),
        versions=tuple((own.name, _installed(own).version) for own in needed),
    )


def make_environment(folder: Path, needed: Iterable[Requirement]) -> Path:
    """Copy installed packages and their requirements into a virtual environment; return its Python.

    Raises:
        BadConfiguration: one is not installed, or in a version that does not fit.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    waiting, copied = list(needed), set[str]()
    while waiting:
        requirement = waiting.pop()
        if requirement.name in copied or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        copied.add(requirement.name)
        installed = _installed(requirement)
        for file in installed.files or ():
            if ".." not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target)
        waiting += [Requirement(further) for further in installed.requires or ()]
    return folder / "bin" / "python"


def _installed(requirement: Requirement) -> Distribution:
    try:
        own = distribution(requirement.name)
    except PackageNotFoundError:
        raise BadConfiguration(f"{requirement} is not installed, which the check of a package needs: pip install '{requirement}'") from None
    if not requirement.specifier.contains(own.version, prereleases=True):
        raise BadConfiguration(f"{own.name} {own.version} is installed, and a package needs {requirement}: pip install '{requirement}'")
    return own
