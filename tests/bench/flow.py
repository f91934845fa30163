"""Row group `flow`: how fast optical flow is computed on one and two cores, how large its file is, and how fast that is read."""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from tasks.model.sampling import middle_snippets
from tasks.options import FlowOptions
from tasks.video.fields import iter_fields
from tasks.video.flow import FlowMaker
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Row, alternate

SIZES = ("340x256", "456x256")
NUM_FIELDS = {"tvl1": 8, "dis": 60}
CLIP_FIELDS = 239
SNIPPETS = [number for snippet in middle_snippets(CLIP_FIELDS, 8, 5) for number in snippet]


def flow(folder: Path, quick: bool) -> list[Row]:
    """Computing at both sizes, then keeping and reading a clip's flow."""
    source = videos(folder, most=100)[-1]
    clips = {size: _scaled(source, size, folder) for size in SIZES}
    return [
        *(_computing(size, clips[size], quick) for size in SIZES),
        *(_a_core(size, clips[size], quick) for size in SIZES),
        *_keeping(clips[SIZES[0]], quick),
    ]


def _scaled(source: Path, size: str, folder: Path) -> Path:
    path = folder / f"{size}.mp4"
    scaled = ("-vf", f"scale={size.replace('x', ':')}", "-frames:v", str(CLIP_FIELDS + 1), "-an", "-crf", "20", "-g", "15", "-bf", "0")
    subprocess.run([str(FFMPEG), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(source), *scaled, str(path)], check=True)
    return path


def _compute(method: str, clip: Path, path: Path, num_threads: int, num_fields: int) -> None:
    with FlowMaker(FlowOptions(flow_method=method), num_threads) as maker:
        maker.write(clip, path, num_frames=num_fields + 1, short_side=256)


def _computing(size: str, clip: Path, quick: bool) -> Row:
    variants: dict[str, Callable[[], float]] = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_compute, ["dis"] * 4, [clip] * 4, [clip.with_name(f"warm{n}.mkv") for n in range(4)], [1] * 4, [1] * 4))

        def by_threads(method: str, num_threads: int) -> Callable[[], float]:
            def measure() -> float:
                num_fields = 2 if quick else NUM_FIELDS[method]
                started = time.perf_counter()
                _compute(method, clip, clip.with_suffix(".mkv"), num_threads, num_fields)
                return num_fields / (time.perf_counter() - started)

            return measure

        def by_processes(method: str) -> Callable[[], float]:
            def measure() -> float:
                num_fields = 2 if quick else NUM_FIELDS[method]
                started = time.perf_counter()
                paths = [clip.with_name(f"{clip.stem}-{n}.mkv") for n in range(2)]
                list(pool.map(_compute, [method] * 2, [clip] * 2, paths, [1] * 2, [num_fields // 2] * 2))
                return num_fields / (time.perf_counter() - started)

            return measure

        for method in NUM_FIELDS:
            variants |= {f"{method}, {n} thread{'s' * (n > 1)}": by_threads(method, n) for n in (1, 2)}
            variants[f"{method}, 2 processes"] = by_processes(method)
        values = alternate(variants, 2 if quick else 5)
    return Row(
        "flow",
        f"Optical flow, {size}",
        "fields/s",
        values,
        "tvl1, 1 thread",
        limit="two cores at most twice as fast as one, where nothing else runs",
        how="Decoding, scaling, computing and writing the first frames of a real clip. `threads` share one clip, which is Retake's way; "
        "`processes` have half of it each.",
    )


def _a_core(size: str, clip: Path, quick: bool) -> Row:
    def of(method: str) -> Callable[[], float]:
        def measure() -> float:
            num_fields = 2 if quick else NUM_FIELDS[method]
            started = time.process_time()
            _compute(method, clip, clip.with_suffix(".mkv"), 1, num_fields)
            return num_fields / (time.process_time() - started)

        return measure

    return Row(
        "flow",
        f"Optical flow, {size}, a second of a core",
        "fields/s",
        alternate({method: of(method) for method in NUM_FIELDS}, 2 if quick else 5),
        "tvl1",
        how="The same in processor time, which other work on the machine does not count into.",
    )


def _keeping(clip: Path, quick: bool) -> list[Row]:
    path = clip.with_suffix(".mkv")
    _compute("dis", clip, path, 0, CLIP_FIELDS)
    fields = np.stack(list(iter_fields(path, range(CLIP_FIELDS))))
    jpeg_bytes = sum(len(cv2.imencode(".jpg", field[..., plane])[1]) for field in fields for plane in range(2))
    sizes = {"8-bit arrays": fields.nbytes, "JPEG, not exact": jpeg_bytes, "FFV1, exact": path.stat().st_size}

    def read(numbers: list[int]) -> Callable[[], float]:
        def measure() -> float:
            started = time.perf_counter()
            for _ in iter_fields(path, numbers):
                pass
            return (time.perf_counter() - started) * 1e3

        return measure

    reading = {"every field": read(list(range(CLIP_FIELDS))), "eight snippets of five": read(SNIPPETS), "one in the middle": read([120])}
    return [
        Row(
            "flow",
            "Optical flow of 8 s kept, 340x256",
            "MB",
            {name: [size / 1e6] for name, size in sizes.items()},
            "8-bit arrays",
            how="DIS, all 239 fields. JPEG is how TSN kept flow, here at OpenCV's quality of 95; FFV1 is ours.",
        ),
        Row("flow", "Reading it", "ms", alternate(reading, 2 if quick else 5), "every field", how="From the file to arrays, one thread."),
    ]
