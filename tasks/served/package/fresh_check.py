"""Check a package in an environment that has its requirements and nothing else."""

import json
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tasks.errors import BadConfiguration

LIMIT_SECONDS = 600


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
                command, cwd=name, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise BadConfiguration(
                f"{folder}: its check takes longer than {LIMIT_SECONDS} s; end other work on this machine, or take a smaller network"
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
