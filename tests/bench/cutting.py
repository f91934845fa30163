"""Rows `cut` and `segment`: one video against the bare ffmpeg command, and several against one after the other."""

import math
import os
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.contracts.ingest_videos import SegmentArguments
from tasks.options import SegmentOptions
from tasks.results.video import Batch, VideoRecord
from tasks.steps.ingest_videos import segment
from tasks.video.cut import cut, cut_arguments
from tasks.video.memory import undivided
from tasks.video.probe import probe
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Row, alternate

OPTIONS = SegmentOptions()
STORE = "s3://bench"


def cpu_seconds() -> float:
    """What this process and those that it waited for have used of the processor."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cutting(folder: Path, quick: bool) -> list[Row]:
    """`tasks.video.cut.cut` against ffmpeg alone with the same arguments."""
    sources = videos(folder, most=1 if quick else 14)
    arguments, held = {}, {}
    for source in sources:
        found = probe(source, max_seconds=math.inf, memory=undivided())
        arguments[source] = cut_arguments(source, found, OPTIONS, found.audio_index)
        held[source] = found
    cpu: dict[str, list[float]] = {"ffmpeg alone": [], "cut": []}

    def bare(source: Path, here: str) -> None:
        subprocess.run([str(FFMPEG), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments[source]], cwd=here, check=True)

    def ours(source: Path, here: str) -> None:
        cut(source, held[source], Path(here), OPTIONS, ffmpeg=FFMPEG, time_limit_seconds=600, memory=undivided())

    def measured(name: str, convert: Any) -> float:
        started, used = time.perf_counter(), cpu_seconds()
        for source in sources:
            with tempfile.TemporaryDirectory(dir=folder) as here:
                convert(source, here)
        cpu[name].append(cpu_seconds() - used)
        return time.perf_counter() - started

    wall = alternate(
        {"ffmpeg alone": lambda: measured("ffmpeg alone", bare), "cut": lambda: measured("cut", ours)},
        2 if quick else 5,
    )
    how = f"{len(sources)} videos one after the other. `cut` also reads ffmpeg's log, counts every clip's frames and hashes it."
    target = "at most 1.1 x"
    return [
        Row("cut", "Cutting a video, time", "s", wall, "ffmpeg alone", target=target, limit="1 x", how=how),
        Row("cut", "Cutting a video, processor time", "s", cpu, "ffmpeg alone", target=target, limit="1 x", how=how),
    ]


class _Objects:
    """What `segment` needs of a store, on this disk."""

    def __init__(self, sources: list[Path], folder: Path) -> None:
        self.folder = folder
        self.sources = {f"v{number:011d}": source for number, source in enumerate(sources)}
        self.held = {name: probe(source, max_seconds=math.inf, memory=undivided()) for name, source in self.sources.items()}
        self.records: dict[str, Any] = {}

    def exists(self, uri: str) -> bool:
        return uri in self.records

    def read(self, uri: str, model: type) -> Any:
        if model is Batch:
            return Batch(videos=tuple(self.sources))
        name = uri.split("/")[-2]
        held, source = self.held[name], self.sources[name]
        return VideoRecord(
            video=name,
            uri=f"{STORE}/{name}/source{source.suffix}",
            size_bytes=1,
            names=(source.name,),
            has_audio=held.has_audio,
            **asdict(held),
        )

    def write(self, uri: str, record: Any) -> None:
        self.records[uri] = record

    def read_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(self.sources[uri.split("/")[-2]], path)

    def write_file(self, uri: str, path: Path) -> None:
        path.unlink()


def segmenting(folder: Path, quick: bool) -> list[Row]:
    """The step on a batch of videos."""
    sources = videos(folder, most=2 if quick else 14)
    num_cores = len(os.sched_getaffinity(0))
    busy: dict[str, list[float]] = {"one after the other": [], "side by side": []}

    def run(name: str, num_processes: int) -> float:
        os.environ["RETAKE_NUM_PROCESSES"] = str(num_processes)
        arguments = SegmentArguments(store=STORE, batch=f"{STORE}/ingests/x/batches/0000.json")
        started, used = time.perf_counter(), cpu_seconds()
        segment.run(arguments, _Objects(sources, folder))  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
        busy[name].append((cpu_seconds() - used) / seconds)
        return seconds

    before = os.environ.get("RETAKE_NUM_PROCESSES")
    wall = alternate(
        {"one after the other": lambda: run("one after the other", 1), "side by side": lambda: run("side by side", 0)}, 2 if quick else 5
    )
    os.environ.pop("RETAKE_NUM_PROCESSES")
    if before is not None:
        os.environ["RETAKE_NUM_PROCESSES"] = before
    how = f"The step `segment` on a batch of {len(sources)} videos, objects on the local disk."
    return [
        Row(
            "segment",
            "Cutting a batch, time",
            "s",
            wall,
            "one after the other",
            limit="the processor time of ffmpeg over all cores",
            how=how,
        ),
        Row(
            "segment",
            "Cutting a batch, cores busy",
            "cores",
            busy,
            "one after the other",
            target="all cores busy",
            limit=f"{num_cores} cores",
            how="Processor time over time.",
        ),
    ]
