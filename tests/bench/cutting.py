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
from unittest.mock import patch

from tasks.data.video.child import undivided
from tasks.data.video.cut import cut, cut_arguments
from tasks.data.video.inspection import VideoProbe
from tasks.data.video.probe import probe
from tasks.options import SegmentOptions
from tasks.pipeline.ingest_videos import segment
from tasks.pipeline.ingest_videos.contract import SegmentArguments
from tasks.store.records.video import Batch
from tests.bench.material import FFMPEG, videos
from tests.bench.measure import Row, alternate, processor_seconds
from tests.data.labels.records import video_record
from tests.pipeline.shelf import Shelf

OPTIONS = SegmentOptions()
STORE = "s3://bench"
BATCH = f"{STORE}/ingests/x/batches/0000.json"


def _probed(source: Path) -> VideoProbe:
    return probe(source, max_seconds=math.inf, memory=undivided())


def cutting(folder: Path, quick: bool) -> list[Row]:
    """`tasks.data.video.cut.cut` against ffmpeg alone with the same arguments."""
    held = {source: _probed(source) for source in videos(folder, most=1 if quick else 14)}
    arguments = {source: cut_arguments(source, held_probe, OPTIONS, held_probe.audio_index) for source, held_probe in held.items()}

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
        Row("cut", f"Cutting a video, {measure}", "s", values, "ffmpeg alone", "at most 1.1 x", "1 x", how)
        for measure, values in (("time", wall), ("processor time", cpu))
    ]


class _Films(Shelf):
    """A batch of videos on the local disk; clips are not kept."""

    def __init__(self, sources: list[Path]) -> None:
        super().__init__(buckets=("bench",))
        self._sources = {f"v{number:011d}": source for number, source in enumerate(sources)}
        self.write(BATCH, Batch(videos=tuple(self._sources)))
        for name, source in self._sources.items():
            held = _probed(source)
            stored = {"uri": f"{STORE}/{name}/source{source.suffix}", "names": (source.name,), "has_audio": held.has_audio}
            self.write(f"{STORE}/videos/{name}/probe.json", video_record(name, **stored, **asdict(held)))

    def read_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(self._sources[uri.split("/")[-2]], path)

    def write_file(self, uri: str, path: Path) -> None:
        path.unlink()


def segmenting(folder: Path, quick: bool) -> list[Row]:
    """The step on a batch of videos."""
    sources = videos(folder, most=2 if quick else 14)
    ways = {"one after the other": 1, "side by side": 0}
    busy: dict[str, list[float]] = {name: [] for name in ways}

    def run(name: str) -> float:
        os.environ["RETAKE_NUM_PROCESSES"] = str(ways[name])
        films = _Films(sources)
        started, used = time.perf_counter(), processor_seconds()
        segment.run(SegmentArguments(store=STORE, batch=BATCH), films)
        seconds = time.perf_counter() - started
        busy[name].append((processor_seconds() - used) / seconds)
        return seconds

    with patch.dict(os.environ):
        wall = alternate({name: partial(run, name) for name in ways}, 2 if quick else 5)
    how = f"The step `segment` on a batch of {len(sources)} videos, objects on the local disk."
    reference, least = "one after the other", "the processor time of ffmpeg over all cores"
    cores = f"{len(os.sched_getaffinity(0))} cores"
    return [
        Row("segment", "Cutting a batch, time", "s", wall, reference, "", least, how),
        Row("segment", "Cutting a batch, cores busy", "cores", busy, reference, "all cores busy", cores, "Processor time over time."),
    ]
