"""Describe a package in contract.json, write its folder, and check it with its requirements alone."""

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
from typing import Literal, Self

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from packaging.requirements import Requirement
from pydantic import Field, model_validator

from tasks.errors import BadConfiguration
from tasks.learn.engines.graph import GraphInput
from tasks.learn.inputs.snippets import middle_frames
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import Interpolation, SegmentOptions
from tasks.served.package.sample import Sample, Size
from tasks.store.records.export import InputKind, PackageFormat, PackagePrecision, PackageScore
from tasks.store.records.record import Record
from tasks.wording import percent, percent_interval

TITLES: Mapping[PackageFormat, str] = {"onnx": "ONNX", "openvino": "OpenVINO"}
RUNTIMES: Mapping[PackageFormat, str] = {"onnx": "onnxruntime>=1.20,<2", "openvino": "openvino>=2024.6"}
COMMON = ("av>=16,<19", "numpy>=1.26,<3")
"""The check passes with the lowest versions together (av 16.0.0, numpy 1.26.4, onnxruntime 1.20.0 or openvino 2024.6.0), and with the highest (av 18.1.0,
numpy 2.4.6, onnxruntime 1.32.0 or openvino 2026.4.1). av 15 ends videos of a variable rate earlier; av 19 takes no `metadata_errors`."""
CHECK_SECONDS = 600


class Window(Record):
    """How a video is cut before the model sees it."""

    seconds: float
    fps: int = Field(description="frame n of a video is the last one whose time, in such frames and rounded half up, is not after n")
    num_frames: int = Field(description="of a whole window")
    shortest_frames: int = Field(description="a shorter rest at a video's end is not answered")
    short_side: int = Field(description="larger frames are scaled down to it, bicubically; smaller ones keep their size")


class Sampling(Record):
    """Which frames of a window an input takes.

    The middle `window_share` of the window, but at least `span_frames`, is taken every `frame_stride` frames. Snippets of so many frames in
    a row begin in the middle of `num_segments` equal parts of it, or, as views, evenly from the first to the last place.
    """

    num_segments: int
    frames_per_snippet: int
    frame_stride: int
    window_share: float
    span_frames: int
    spread: Literal["segments", "views"]
    positions: tuple[int, ...] = Field(description="in a whole window, in the order of the input")


class Scaling(Record):
    """What the model does to each frame, whatever its size, before it normalises it."""

    short_side: int
    interpolation: Interpolation
    crop_pixels: int = Field(description="of the centre")


class PackageInput(Record):
    """An input of the model.

    None in `shape` is any number, the first that of windows.
    """

    name: str
    kind: InputKind
    shape: tuple[int | None, ...]
    dtype: Literal["uint8", "float32"]
    sampling: Sampling | None = Field(description="of frames alone")
    scaling: Scaling | None = Field(description="of frames alone")


class Registered(Record):
    """The registered model that was packed, or whose student was."""

    name: str
    version: int
    checkpoint_sha256: str = Field(description="of the packed network, which is the student's if there is a teacher")
    network: str
    teacher: str | None = Field(description="the registered model, if its student was packed")


class Contract(Record):
    """All that a program needs to answer videos by the model as Retake does.

    `verbs` and `nouns` are in the order of the outputs: a name's place is its id.
    """

    schema_version: Literal[1] = 1
    registered: Registered
    format: PackageFormat
    precision: PackagePrecision
    refused: str = Field("", description="why the precision that was asked for is not delivered; empty if it is")
    window: Window
    inputs: tuple[PackageInput, ...]
    crops: Literal[1] = 1
    outputs: tuple[str, ...] = Field(description="in the model's order")
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] = Field(description="ids of the verbs and nouns that may be answered; if there are none, all")
    nothing: int | None = Field(description="id of the verb of windows in which nothing happens, which are not listed")
    verb_temperature: float = Field(description="the model divides logits by it before it makes probabilities")
    noun_temperature: float
    calibration: str
    threshold: float | None = Field(description="probability from which an interval is reported; any without one")
    reports: bool = Field(description="whether any probability is high enough to report")
    interval_words: str
    tolerance: Mapping[Size, float] = Field(
        description="most that a logit of the check may differ from the registered model's in PyTorch, in int8 from the package's own where it was "
        "made, for frames as videos are cut, and for those that the model scales itself"
    )
    max_difference: float = Field(description="of a logit from the registered model's in PyTorch, on the clips of the scores")
    weights_licence: str = Field(description="of the weights that training started from; empty if it is not known")
    versions: Mapping[str, str]
    scores: tuple[PackageScore, ...]
    hardware: str = Field(description="where it was measured")

    @model_validator(mode="after")
    def _name_every_pair(self) -> Self:
        if any(verb >= len(self.verbs) or noun >= len(self.nouns) for verb, noun in self.pairs):
            raise ValueError("the pairs have ids without a name")
        if not self.pairs and "noun_logits" not in self.outputs:
            raise ValueError("the pairs are missing, which give each verb its noun where the model names none")
        return self

    def metadata(self) -> dict[str, str]:
        """Flatten to strings for ONNX and OpenVINO, with keys of OpenVINO's Model API.

        They tell its readers to change no colour.
        """
        fields = {
            f"retake {name}": value if isinstance(value, str) else json.dumps(value) for name, value in self.model_dump(mode="json").items()
        }
        labels = " ".join(verb.replace(" ", "_") for verb in self.verbs)
        return fields | {
            "model_info model_type": "Action Classification",
            "model_info labels": labels,
            "model_info resize_type": "standard",
            "model_info mean_values": "0 0 0",
            "model_info scale_values": "1 1 1",
            "model_info reverse_input_channels": "False",
        }


def window_of(segment: SegmentOptions) -> Window:
    """Describe how clips are cut."""
    num_frames = round(segment.clip_seconds * segment.fps)
    return Window(
        seconds=segment.clip_seconds,
        fps=segment.fps,
        num_frames=num_frames,
        shortest_frames=min(num_frames, int(np.ceil(round(segment.min_clip_seconds * segment.fps, 6)))),
        short_side=segment.short_side,
    )


def input_of(own: GraphInput, spec: NetworkSpec, window: Window) -> PackageInput:
    """Describe an input of the model by the network that takes it."""
    if own.kind != "frames":
        return PackageInput(**vars(own), sampling=None, scaling=None)
    video = spec.video
    sampling = Sampling(
        num_segments=spec.num_segments,
        frames_per_snippet=spec.snippet.num_frames,
        frame_stride=video.frame_stride if video else 1,
        window_share=spec.sampling_window,
        span_frames=video.span if video else spec.snippet.num_frames,
        spread="views" if video else "segments",
        positions=middle_frames(window.num_frames, spec),
    )
    scaling = Scaling(short_side=SHORT_SIDE, interpolation=spec.interpolation, crop_pixels=spec.crop_pixels)
    return PackageInput(**vars(own), sampling=sampling, scaling=scaling)


def requirements(contract: Contract) -> tuple[str, ...]:
    """List the packages that a package's program needs."""
    return (*COMMON, RUNTIMES[contract.format])


def write_package(folder: Path, contract: Contract, model: Path, sample: Sample) -> None:
    """Write the package into a new folder; `model` is .onnx, or .xml beside .bin."""
    sources, check = files(__package__), folder / "check"
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
        "contract.json": described,
        "contract.schema.json": json.dumps(Contract.model_json_schema(mode="serialization"), indent=1),
        "requirements.txt": "\n".join(requirements(contract)),
        "README.md": _readme(contract),
        "Dockerfile": sources.joinpath("templates/Dockerfile").read_text(encoding="utf-8"),
        "predict.py": sources.joinpath("predict.py").read_text(encoding="utf-8"),
        "check/check.py": sources.joinpath("check.py").read_text(encoding="utf-8"),
        "check/expected.json": json.dumps(expected, indent=1),
    }
    for name, text in texts.items():
        (folder / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    (check / "clip.mp4").write_bytes(sample.video)
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
    printed = (json.loads(line) for line in done.stdout.splitlines())
    parts = tuple(Part(line["part"], line["problem"]) for line in printed)
    return CheckResult(parts, tuple((own.name, _installed(own).version) for own in needed))


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
