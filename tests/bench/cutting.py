"""Rows `cut` and `segment`: one video against the bare ffmpeg command, and several against one after the other."""

import math
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tasks.contracts.ingest_videos import SegmentArguments
from tasks.options import SegmentOptions
from tasks.results.video import Batch, VideoRecord
from tasks.steps.ingest_videos import segment
from tasks.video.cut import cut, cut_arguments
from tasks.video.inspection import VideoProbe
from tasks.video.memory import undivided
from tasks.video.probe import probe
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Row, alternate, num_cores, processor_seconds

OPTIONS = SegmentOptions()
STORE = "s3://bench"


def _probed(source: Path) -> VideoProbe:
    return probe(source, max_seconds=math.inf, memory=undivided())


def cutting(folder: Path, quick: bool) -> list[Row]:
    """`tasks.video.cut.cut` against ffmpeg alone with the same arguments."""
    held = {source: _probed(source) for source in videos(folder, most=1 if quick else 14)}
    arguments = {source: cut_arguments(source, found, OPTIONS, found.audio_index) for source, found in held.items()}

    def bare(source: Path, here: str) -> None:
        subprocess.run([str(FFMPEG), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments[source]], cwd=here, check=True)

    def ours(source: Path, here: str) -> None:
        cut(source, held[source], Path(here), OPTIONS, ffmpeg=FFMPEG, time_limit_seconds=600, memory=undivided())

    ways = {"ffmpeg alone": bare, "cut": ours}
    cpu: dict[str, list[float]] = {name: [] for name in ways}

    def measured(name: str) -> float:
        started, used = time.perf_counter(), processor_seconds()
        for source in held:
            with tempfile.TemporaryDirectory(dir=folder) as here:
                ways[name](source, here)
        cpu[name].append(processor_seconds() - used)
        return time.perf_counter() - started

    wall = alternate({name: partial(measured, name) for name in ways}, 2 if quick else 5)
    how = f"{len(held)} videos one after the other. `cut` also reads ffmpeg's log, counts every clip's frames and hashes it."
    return [
        Row("cut", f"Cutting a video, {what}", "s", values, "ffmpeg alone", "at most 1.1 x", "1 x", how)
        for what, values in (("time", wall), ("processor time", cpu))
    ]


class _Objects:
    """What `segment` needs of a store, on this disk."""

    def __init__(self, sources: list[Path], folder: Path) -> None:
        self.folder = folder
        self.sources = {f"v{number:011d}": source for number, source in enumerate(sources)}
        self.held = {name: _probed(source) for name, source in self.sources.items()}
        self.records: dict[str, Any] = {}

    def exists(self, uri: str) -> bool:
        return uri in self.records

    def read(self, uri: str, model: type) -> Any:
        if model is Batch:
            return Batch(videos=tuple(self.sources))
        name = uri.split("/")[-2]
        held, source = self.held[name], self.sources[name]
        stored = {"uri": f"{STORE}/{name}/source{source.suffix}", "size_bytes": 1, "names": (source.name,)}
        return VideoRecord(video=name, has_audio=held.has_audio, **stored, **asdict(held))

    def write(self, uri: str, record: Any) -> None:
        self.records[uri] = record

    def read_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(self.sources[uri.split("/")[-2]], path)

    def write_file(self, uri: str, path: Path) -> None:
        path.unlink()


def segmenting(folder: Path, quick: bool) -> list[Row]:
    """The step on a batch of videos."""
    sources = videos(folder, most=2 if quick else 14)
    ways = {"one after the other": 1, "side by side": 0}
    busy: dict[str, list[float]] = {name: [] for name in ways}

    def run(name: str) -> float:
        os.environ["RETAKE_NUM_PROCESSES"] = str(ways[name])
        arguments = SegmentArguments(store=STORE, batch=f"{STORE}/ingests/x/batches/0000.json")
        started, used = time.perf_counter(), processor_seconds()
        segment.run(arguments, _Objects(sources, folder))  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
        busy[name].append((processor_seconds() - used) / seconds)
        return seconds

    before = os.environ.get("RETAKE_NUM_PROCESSES")
    wall = alternate({name: partial(run, name) for name in ways}, 2 if quick else 5)
    os.environ.pop("RETAKE_NUM_PROCESSES")
    if before is not None:
        os.environ["RETAKE_NUM_PROCESSES"] = before
    how = f"The step `segment` on a batch of {len(sources)} videos, objects on the local disk."
    least, cores = "the processor time of ffmpeg over all cores", f"{num_cores()} cores"
    return [
        Row("segment", "Cutting a batch, time", "s", wall, "one after the other", "", least, how),
        Row(
            "segment",
            "Cutting a batch, cores busy",
            "cores",
            busy,
            "one after the other",
            "all cores busy",
            cores,
            "Processor time over time.",
        ),
    ]
