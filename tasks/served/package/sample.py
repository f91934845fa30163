"""Draw the video of a package's check, and answer it in PyTorch."""

# t: snippets, m: frames of a snippet, h, w: pixels, p: planes of a snippet, c: classes

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.data.video.child import undivided
from tasks.data.video.cut import cut
from tasks.data.video.ffmpeg import find_ffmpeg, run_ffmpeg
from tasks.data.video.frames import read_frames
from tasks.data.video.probe import probe
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.model_files import answerer
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.snippets import middle_frames
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import SegmentOptions
from tasks.served.videos import Clip, snippets
from tasks.store.records.export import PackagePrecision

PICTURE = "testsrc2=size=384x288:rate=25"
"""Not square, of no size that a network sees, and of another rate than clips, so that scaling and resampling show."""

SOUND = "sine=frequency=300:beep_factor=4"
LIMIT_SECONDS = 300
LARGEST_SIDE = 1080
"""A short side to which no video of the check is scaled down."""

Size = Literal["cut", "own"]

SHARES_OF_STD: Mapping[PackagePrecision, Mapping[Size, float]] = {
    "fp32": {"cut": 0.005, "own": 0.05},
    "fp16": {"cut": 0.05, "own": 0.1},
    "int8": {"cut": 0.25, "own": 0.25},
}
"""Tolerance of a logit, in standard deviations of its head's; in int8 it is compared with `Sample.expecting`, else with PyTorch.

Where the model scales frames itself, their colours differ a little from Pillow's.
"""


@dataclass(frozen=True)
class Sample:
    """A video, and the answers to it that every copy of the model must give.

    Attributes:
        video: an MP4 that is one window long.
        frame_hashes: SHA-256 of each decoded frame's planes, as ffmpeg's framehash computes it.
        arrays: by size and name, such as `cut/frames`, an input of the model without its first dimension; `cut` as videos are cut, `own` as
            large as the video is. `cut/verb_logits` (2, c) are the logits of this input, and of the same one turned upside down.
        classes: names of the registered model's classes.
    """

    video: bytes
    frame_hashes: tuple[str, ...]
    arrays: Mapping[str, NDArray[Any]]
    classes: ClassNames

    def tolerance(self, precision: PackagePrecision) -> dict[Size, float]:
        """Return by how much a logit may differ, for each size of frames."""
        deviation = min(float(logits.std()) for name, logits in self.arrays.items() if name.endswith("_logits"))
        return {size: share * deviation for size, share in SHARES_OF_STD[precision].items()}

    def expecting(self, model: Path) -> "Sample":
        """Expect the answers of a written model in place of PyTorch's."""
        # An int8 model is calibrated on videos. On a drawn one it may be further from PyTorch than a fault would be.
        arrays, answer = dict(self.arrays), answerer(model)
        for size in {name.partition("/")[0] for name in arrays}:
            own = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(size)}
            upright = {name: array for name, array in own.items() if not name.endswith("_logits")}
            answers = answer([upright, {name: np.ascontiguousarray(array[:, ::-1]) for name, array in upright.items()}])
            arrays |= {f"{size}/{name}": np.stack([outputs[name] for outputs in answers]) for name in own.keys() - upright.keys()}
        return replace(self, arrays=arrays)


def make_sample(saved: Saved, segment: SegmentOptions, names: Sequence[str], folder: Path) -> Sample:
    """Draw a video in `folder`, cut it without loss, and answer it with one crop.

    `names` are those of the model's inputs, one per network. The networks of `saved` are prepared in place.
    """
    video, listed = folder / "clip.mp4", folder / "hashes.txt"
    hears = any(network.spec.sound for network in saved.networks)
    drawn = ["-f", "lavfi", "-i", f"{PICTURE}:duration={segment.clip_seconds}"]
    track = ["-f", "lavfi", "-i", f"{SOUND}:duration={segment.clip_seconds}", "-c:a", "aac"] if hears else []
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-flags", "+bitexact", "-fflags", "+bitexact"]
    _run_ffmpeg([*drawn, *track, *coded, video.name], folder)
    _run_ffmpeg(["-i", video.name, "-map", "0:v", "-f", "framehash", "-hash", "sha256", listed.name], folder)
    hashes = [line.rpartition(",")[2].strip() for line in listed.read_text().splitlines() if not line.startswith("#")]
    engines = tuple(PytorchEngine(prepare(network), 1) for network in saved.networks)
    scorer = Scorer(engines, saved.weights, saved.joint and saved.joint.eval())
    specs = [network.spec for network in saved.networks]
    sizes: dict[Size, int] = {"cut": segment.short_side}
    if all(_takes_frames(spec) for spec in specs):
        sizes["own"] = LARGEST_SIDE
    arrays = dict[str, NDArray[Any]]()
    for size, short_side in sizes.items():
        clip = _cut(video, segment.model_copy(update={"crf": 0, "short_side": short_side}), folder)
        seen = snippets(clip, specs, folder)
        both = [scorer.score(inputs) for inputs in (seen, [np.ascontiguousarray(own[:, ::-1]) for own in seen])]
        for head, logits in zip(("verb", "noun") if saved.classes.has_objects else ("verb",), zip(*both, strict=True), strict=False):
            arrays[f"{size}/{head}_logits"] = np.stack([own.numpy() for own in logits])
        for name, spec, own in zip(names, specs, seen, strict=True):
            frames = read_frames(clip.path, middle_frames(clip.num_frames, spec), short_side=None) if _takes_frames(spec) else own
            arrays[f"{size}/{name}"] = frames
    return Sample(video.read_bytes(), tuple(hashes), arrays, saved.classes)


def _takes_frames(spec: NetworkSpec) -> bool:
    return spec.flow is None and not spec.sound


def _run_ffmpeg(arguments: Sequence[str], folder: Path) -> None:
    """Run Retake's ffmpeg on files of `folder`."""
    run_ffmpeg(
        arguments,
        ffmpeg=find_ffmpeg(None),
        folder=folder,
        time_limit_seconds=LIMIT_SECONDS,
        memory=undivided(),
        name="the video of the check",
    )


def _cut(video: Path, segment: SegmentOptions, folder: Path) -> Clip:
    source = probe(video, max_seconds=LIMIT_SECONDS, memory=undivided())
    pieces = cut(video, source, folder, segment, ffmpeg=find_ffmpeg(None), time_limit_seconds=LIMIT_SECONDS, memory=undivided())
    (clip,) = pieces.clips
    return Clip(clip.path, clip.start_seconds, clip.stop_seconds, clip.num_frames)
