"""Describe a package: how its model sees a film, and how its answers are read.

contract.json is this model.
"""

import json
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tasks.learn.engines.graph import GraphInput
from tasks.learn.inputs.snippets import middle_frames
from tasks.learn.networks.spec import CROP_PIXELS, SHORT_SIDE, NetworkSpec
from tasks.options import Interpolation, SegmentOptions
from tasks.store.records.export import InputKind, PackageFormat, PackagePrecision, PackageScore
from tasks.store.records.record import Record

Size = Literal["cut", "own"]


class Window(Record):
    """How a film is cut before the model sees it."""

    seconds: float
    fps: int = Field(description="frame n of a film is the last one whose time, in such frames and rounded half up, is not after n")
    num_frames: int = Field(description="of a whole window")
    shortest_frames: int = Field(description="a shorter rest at a film's end is not answered")
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
    """All that a program needs to answer films by the model as Retake does.

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
        "made, for frames as films are cut, and for those that the model scales itself"
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
    shortest_frames = min(num_frames, int(np.ceil(round(segment.min_clip_seconds * segment.fps, 6))))
    return Window(
        seconds=segment.clip_seconds,
        fps=segment.fps,
        num_frames=num_frames,
        shortest_frames=shortest_frames,
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
    scaling = Scaling(short_side=SHORT_SIDE, interpolation=spec.interpolation, crop_pixels=video.crop_pixels if video else CROP_PIXELS)
    return PackageInput(**vars(own), sampling=sampling, scaling=scaling)
