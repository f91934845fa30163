"""Row `item`: a training item from the frame cache, beside decoding the clip."""

import subprocess
from pathlib import Path

import ffmpeg as arguments_of
import numpy as np
from numpy.typing import NDArray

from tasks.data.video.cut import CutClip
from tasks.data.video.frames import iter_frames
from tasks.learn.inputs.data import View
from tasks.learn.networks.spec import NetworkSpec
from tests.bench.material import FFMPEG, clips
from tests.bench.measure import Measure, Row, alternate

SPEC = NetworkSpec(backbone="none", num_segments=8)


def item(folder: Path, quick: bool) -> list[Row]:
    """Eight random frames of a clip, augmented."""
    made = clips(folder, 2 if quick else 27)
    cached = [_cached(folder, clip) for clip in made]

    def from_the_cache() -> None:
        for path in cached:
            View(path, 0, 0).images(SPEC)

    def decoding_alone() -> None:
        for clip in made:
            _whole(clip)

    variants: dict[str, Measure] = {"ffmpeg, decoding alone": decoding_alone, "frame cache": from_the_cache}
    for measure in variants.values():
        measure()
    values = {name: [value / len(made) * 1e3 for value in found] for name, found in alternate(variants, 2 if quick else 5).items()}
    target, limit = "frame cache at most 0.05 x", "cutting, scaling and mirroring eight frames"
    how = (
        f"Mean over {len(made)} clips, all files read once before, so that they come from the kernel's cache. "
        "`ffmpeg, decoding alone` is the original experiment's way, ffmpeg-python's pipe of raw frames of the whole clip; the frame cache "
        "gives eight random frames, which are augmented, too."
    )
    return [Row("item", "A training item", "ms", values, "ffmpeg, decoding alone", target, limit, how)]


def _cached(folder: Path, clip: CutClip) -> Path:
    path = folder / f"{clip.sha256}.npy"
    np.save(path, np.stack(list(iter_frames(clip.path, range(clip.num_frames), short_side=256))))
    return path


def _whole(clip: CutClip) -> NDArray[np.uint8]:
    """All frames (t, h, w, 3), as the original experiment had them."""
    output = arguments_of.input(str(clip.path)).output("pipe:", format="rawvideo", pix_fmt="rgb24", loglevel="error")
    raw = subprocess.run([str(FFMPEG), *arguments_of.get_args(output)], check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, clip.height, clip.width, 3)
