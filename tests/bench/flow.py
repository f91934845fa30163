"""Row group `flow`: how fast optical flow is computed, and how large its file is."""

import subprocess
import time
from pathlib import Path

import numpy as np

from tasks.data.video.flow import FlowMaker
from tasks.data.video.frames import iter_fields
from tasks.options import FlowOptions
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Measure, Row, alternate

SIZES = ("340x256", "456x256")
NUM_FIELDS = {"tvl1": 8, "dis": 60}
CLIP_FIELDS = 239


def flow(folder: Path, quick: bool) -> list[Row]:
    """Computing at both sizes, then keeping a clip's flow."""
    source, repetitions = videos(folder, most=100)[-1], 2 if quick else 5
    num_fields = dict.fromkeys(NUM_FIELDS, 2) if quick else NUM_FIELDS
    clips = {size: _scaled(source, size, folder) for size in SIZES}
    return [*(_computing(size, clip, num_fields, repetitions) for size, clip in clips.items()), _keeping(clips[SIZES[0]])]


def _scaled(source: Path, size: str, folder: Path) -> Path:
    path = folder / f"{size}.mp4"
    scaled = ("-vf", f"scale={size.replace('x', ':')}", "-frames:v", str(CLIP_FIELDS + 1), "-an", "-crf", "20", "-g", "15", "-bf", "0")
    subprocess.run([str(FFMPEG), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(source), *scaled, str(path)], check=True)
    return path


def _compute(method: str, clip: Path, num_threads: int, num_fields: int) -> Path:
    path = clip.with_suffix(".mkv")
    with FlowMaker(FlowOptions(flow_method=method), num_threads) as maker:
        maker.write(clip, path, num_frames=num_fields + 1, short_side=256)
    return path


def _computing(size: str, clip: Path, num_fields: dict[str, int], repetitions: int) -> Row:
    def in_a_second(method: str, number: int) -> Measure:
        def measure() -> float:
            started = time.process_time()
            _compute(method, clip, 1, number)
            return number / (time.process_time() - started)

        return measure

    values = alternate({method: in_a_second(method, number) for method, number in num_fields.items()}, repetitions)
    how = "Decoding, scaling, computing and writing the first frames of a real clip in one thread, in processor time."
    return Row("flow", f"Optical flow, {size}, a second of a core", "fields/s", values, "tvl1", how=how)


def _keeping(clip: Path) -> Row:
    path = _compute("dis", clip, 0, CLIP_FIELDS)
    size_of_arrays = np.stack(list(iter_fields(path, range(CLIP_FIELDS)))).nbytes
    megabytes = {name: [size / 1e6] for name, size in {"8-bit arrays": size_of_arrays, "FFV1, exact": path.stat().st_size}.items()}
    return Row("flow", "Optical flow of 8 s kept, 340x256", "MB", megabytes, "8-bit arrays", how="DIS, all 239 fields.")
