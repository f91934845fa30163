"""Row group `flow`: how fast optical flow is computed on one and two cores, how large its file is, and how fast that is read."""

import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from tasks.data.video.flow import FlowMaker
from tasks.data.video.frames import iter_fields
from tasks.learn.inputs.sampling import middle_snippets
from tasks.options import FlowOptions
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Measure, Row, alternate

SIZES = ("340x256", "456x256")
NUM_FIELDS = {"tvl1": 8, "dis": 60}
CLIP_FIELDS = 239
SNIPPETS = [number for snippet in middle_snippets(CLIP_FIELDS, 8, 5) for number in snippet]


def flow(folder: Path, quick: bool) -> list[Row]:
    """Computing at both sizes, then keeping and reading a clip's flow."""
    source, repetitions = videos(folder, most=100)[-1], 2 if quick else 5
    num_fields = dict.fromkeys(NUM_FIELDS, 2) if quick else NUM_FIELDS
    clips = {size: _scaled(source, size, folder) for size in SIZES}
    rows = [way(size, clip, num_fields, repetitions) for way in (_computing, _a_core) for size, clip in clips.items()]
    return [*rows, *_keeping(clips[SIZES[0]], repetitions)]


def _scaled(source: Path, size: str, folder: Path) -> Path:
    path = folder / f"{size}.mp4"
    scaled = ("-vf", f"scale={size.replace('x', ':')}", "-frames:v", str(CLIP_FIELDS + 1), "-an", "-crf", "20", "-g", "15", "-bf", "0")
    subprocess.run([str(FFMPEG), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(source), *scaled, str(path)], check=True)
    return path


def _compute(method: str, clip: Path, path: Path, num_threads: int, num_fields: int) -> None:
    with FlowMaker(FlowOptions(flow_method=method), num_threads) as maker:
        maker.write(clip, path, num_frames=num_fields + 1, short_side=256)


def _a_second(num_fields: int, work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Measure:
    """How many fields this work computes in a second of the clock."""

    def measure() -> float:
        started = clock()
        work()
        return num_fields / (clock() - started)

    return measure


def _computing(size: str, clip: Path, num_fields: dict[str, int], repetitions: int) -> Row:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def beside(method: str, number: int, each: int) -> list[None]:
            """Compute fields in both processes at once, so many times."""
            paths = [clip.with_name(f"{clip.stem}-{n}.mkv") for n in range(number)]
            return list(pool.map(_compute, [method] * number, [clip] * number, paths, [1] * number, [each] * number))

        beside("dis", 4, 1)
        variants: dict[str, Measure] = {}
        for method, number in num_fields.items():
            for n in (1, 2):
                threads = partial(_compute, method, clip, clip.with_suffix(".mkv"), n, number)
                variants[f"{method}, {n} thread{'s' * (n > 1)}"] = _a_second(number, threads)
            variants[f"{method}, 2 processes"] = _a_second(number, partial(beside, method, 2, number // 2))
        values = alternate(variants, repetitions)
    limit = "two cores at most twice as fast as one, where nothing else runs"
    how = (
        "Decoding, scaling, computing and writing the first frames of a real clip. `threads` share one clip, which is Retake's way; "
        "`processes` have half of it each."
    )
    return Row("flow", f"Optical flow, {size}", "fields/s", values, "tvl1, 1 thread", limit=limit, how=how)


def _a_core(size: str, clip: Path, num_fields: dict[str, int], repetitions: int) -> Row:
    variants = {
        method: _a_second(number, partial(_compute, method, clip, clip.with_suffix(".mkv"), 1, number), time.process_time)
        for method, number in num_fields.items()
    }
    how = "The same in processor time, which other work on the machine does not count into."
    return Row("flow", f"Optical flow, {size}, a second of a core", "fields/s", alternate(variants, repetitions), "tvl1", how=how)


def _keeping(clip: Path, repetitions: int) -> list[Row]:
    path = clip.with_suffix(".mkv")
    _compute("dis", clip, path, 0, CLIP_FIELDS)
    fields = np.stack(list(iter_fields(path, range(CLIP_FIELDS))))
    jpeg_bytes = sum(len(cv2.imencode(".jpg", field[..., plane])[1]) for field in fields for plane in range(2))
    sizes = {"8-bit arrays": fields.nbytes, "JPEG, not exact": jpeg_bytes, "FFV1, exact": path.stat().st_size}
    megabytes = {name: [size / 1e6] for name, size in sizes.items()}

    def read(numbers: Sequence[int]) -> float:
        started = time.perf_counter()
        for _ in iter_fields(path, numbers):
            pass
        return (time.perf_counter() - started) * 1e3

    numbers = {"every field": range(CLIP_FIELDS), "eight snippets of five": SNIPPETS, "one in the middle": [120]}
    reading = alternate({name: partial(read, own) for name, own in numbers.items()}, repetitions)
    how = "DIS, all 239 fields. JPEG is how TSN kept flow, here at OpenCV's quality of 95; FFV1 is ours."
    return [
        Row("flow", "Optical flow of 8 s kept, 340x256", "MB", megabytes, "8-bit arrays", how=how),
        Row("flow", "Reading it", "ms", reading, "every field", how="From the file to arrays, one thread."),
    ]
