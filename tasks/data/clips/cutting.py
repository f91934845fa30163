"""Cut videos into clips, several at a time; skip videos that were cut before."""

import logging
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from tasks.data.clips.clips import clip_uid, find_cut
from tasks.data.video.clip_file import CutClip, CutResult
from tasks.data.video.cut import cut
from tasks.data.video.cut_spans import cut_spans, decoded_seconds
from tasks.data.video.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.data.video.inspection import VideoProbe
from tasks.data.video.interval_spans import FrameSpan, interval_spans
from tasks.data.video.memory import Memory, MemoryShares, usable_bytes
from tasks.data.video.probe import probe
from tasks.data.video.transcode import NUM_ENCODER_THREADS, time_limit
from tasks.errors import BadVideo, OutOfMemory
from tasks.keys import clip_recipe_of, content_key
from tasks.options import SegmentOptions
from tasks.settings import MachineSettings, load
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord, ClipsFile, Interval, Intervals, SegmentResult, VideoRecord
from tasks.wording import count, plain_reason, size

log = logging.getLogger("retake")

MAX_BATCHES = 64
MIN_VIDEOS_PER_BATCH = 8
"""Minimum batch size, if there are enough videos. A mapped Airflow task costs seconds, and a batch's videos are cut in parallel."""

MAX_AT_ONCE = 8

SHARE_BYTES = 256 << 20
"""Minimum memory per ffmpeg process: more than a 1920x1080 video needs."""


def batch_size(num_videos: int) -> int:
    """Compute the number of videos per mapped task.

    At most 64 batches, and at least two, so that two machines can share the work.
    """
    return max(1, math.ceil(num_videos / MAX_BATCHES), min(MIN_VIDEOS_PER_BATCH, math.ceil(num_videos / 2)))


def cut_videos(store: Store, store_uri: str, videos: Sequence[str], options: SegmentOptions, intervals: Intervals) -> SegmentResult:
    """Cut these videos, several at a time, and summarise the results.

    `intervals` are the labelled ones by video; only clips around intervals need them.
    """

    memory_bytes = usable_bytes()
    num_threads = num_at_once(load(MachineSettings).num_processes or len(os.sched_getaffinity(0)), memory_bytes)
    shares = MemoryShares(num_threads, memory_bytes)

    def take(video: str) -> tuple[str, list[ClipsFile]]:
        record = store.read(Layout(store_uri).video(video).probe)
        found = list[ClipsFile]()
        for part in options.parts:
            found.append(take_part(record, part))
            # The grid says all that is wrong with the video.
            if found[-1].set_aside:
                break
        return record.names[0], found

    def take_part(record: VideoRecord, part: SegmentOptions) -> ClipsFile:
        if part.cut == "intervals":
            return cut_around(store, store_uri, record, part, intervals.get(record.video, ()), shares)
        return cut_video(store, store_uri, record, part, shares)

    files, names = list[ClipsFile](), list[str]()
    with ThreadPoolExecutor(num_threads) as pool:
        for number, (name, parts) in enumerate(pool.map(take, videos), 1):
            for clips in parts:
                kind = "" if clips.options.cut == "grid" else " around intervals"
                log.info("%d of %d: %s: %s", number, len(videos), name, clips.set_aside or f"{count(len(clips.clips), 'clip')}{kind}")
                files.append(clips)
                names.append(name)
    return SegmentResult(
        num_videos=len(videos),
        num_clips=sum(len(f.clips) for f in files),
        dropped_seconds=round(sum(f.dropped_seconds for f in files), 3),
        warnings=tuple(SetAside(name=n, reason=w) for n, f in zip(names, files, strict=True) for w in f.warnings),
        set_aside=tuple(SetAside(name=n, reason=f.set_aside) for n, f in zip(names, files, strict=True) if f.set_aside),
    )


def num_at_once(num_cores: int, memory_bytes: int) -> int:
    """Compute how many videos to cut in parallel, limited by cores and memory.

    One more than the encoder threads need, since each video is also read, probed and uploaded.
    """
    return min(MAX_AT_ONCE, num_cores // NUM_ENCODER_THREADS + 1, max(1, memory_bytes // SHARE_BYTES))


def cut_video(store: Store, store_uri: str, record: VideoRecord, options: SegmentOptions, shares: MemoryShares) -> ClipsFile:
    """Cut one video on the grid, unless it was cut before.

    If it cannot be cut, the reason is recorded. A video that ran out of memory is retried on a machine with more.
    """
    before = find_cut(store, store_uri, record.video, options)
    if before and _had_enough(before, shares):
        return before
    version = ffmpeg_version(find_ffmpeg(load(MachineSettings).ffmpeg))
    place = Layout(store_uri).clips(record.video, clip_recipe_of(options, version))
    with _converted(store, record, options, shares, record.duration_seconds, cut) as found:
        clips = [_keep(clip, place.clip(clip.index), record.video, store) for clip in found.result.clips]
        return _write(store, place, found, clips, version, options, record.video)


def cut_around(
    store: Store, store_uri: str, record: VideoRecord, options: SegmentOptions, intervals: Sequence[Interval], shares: MemoryShares
) -> ClipsFile:
    """Cut clips around the labelled intervals of one video; only those that are new are cut.

    The new list has those that were cut before, by any version of ffmpeg, where they lie. Clips of intervals that are gone are left out of
    it, and stay in the store for older datasets. Failures are as of `cut_video`.
    """
    spans = spans_of(record, intervals, options)
    digest = spans_digest(spans)
    before = find_cut(store, store_uri, record.video, options)
    if before and before.spans_digest == digest and _had_enough(before, shares):
        return before
    version = ffmpeg_version(find_ffmpeg(load(MachineSettings).ffmpeg))
    place = Layout(store_uri).clips(record.video, clip_recipe_of(options, version))
    known = {round(clip.start_seconds * options.fps): clip for clip in before.clips} if before else {}
    missing = [span for span in spans if span.start_frame not in known]
    none = nullcontext(_Converted(CutResult((), 0, ())))
    cut_missing = partial(cut_spans, spans=missing)
    with _converted(store, record, options, shares, decoded_seconds(missing, options), cut_missing) if missing else none as found:
        for clip in found.result.clips:
            uri = place.clip_around(round(clip.start_seconds * 1000), round(clip.stop_seconds * 1000))
            known[missing[clip.index].start_frame] = _keep(clip, uri, record.video, store)
        cut_now = [(known[span.start_frame], span.interval) for span in spans if span.start_frame in known]
        clips = [
            clip.model_copy(update={"index": index, "around": Interval(start_seconds=start, stop_seconds=stop)})
            for index, (clip, (start, stop)) in enumerate(cut_now)
        ]
        if clips and found.reason and found.lacked_bytes is None:
            found = _Converted(replace(found.result, warnings=(found.reason,)))
        revision = before.revision + 1 if before else 0
        return _write(store, place, found, clips, version, options, record.video, digest, revision)


def spans_of(record: VideoRecord, intervals: Sequence[Interval], options: SegmentOptions) -> list[FrameSpan]:
    """List the parts of a video that clips around these intervals show."""
    return interval_spans([(one.start_seconds, one.stop_seconds) for one in intervals], record.duration_seconds, options)


def spans_digest(spans: Sequence[FrameSpan]) -> str:
    """Hash the parts to cut, to see whether they were cut before."""
    return content_key({"spans": spans})


def _had_enough(before: ClipsFile, shares: MemoryShares) -> bool:
    """Check whether more memory would change nothing."""
    return before.lacked_bytes is None or before.lacked_bytes >= shares.all_bytes


class _Convert(Protocol):
    def __call__(
        self,
        path: Path,
        source: VideoProbe,
        folder: Path,
        options: SegmentOptions,
        /,
        *,
        ffmpeg: Path,
        time_limit_seconds: float,
        memory: Memory,
    ) -> CutResult: ...


@dataclass(frozen=True)
class _Converted:
    """The clips on disk, or why there are none."""

    result: CutResult
    reason: str | None = None
    lacked_bytes: int | None = None


@contextmanager
def _converted(
    store: Store, record: VideoRecord, options: SegmentOptions, shares: MemoryShares, decoded_seconds: float, convert: _Convert
) -> Iterator[_Converted]:
    """Fetch a video and cut it; the clips are on disk within the context."""
    ffmpeg = find_ffmpeg(load(MachineSettings).ffmpeg)
    with tempfile.TemporaryDirectory(prefix="retake-segment-") as name:
        folder = Path(name)
        path = folder / Path(record.uri).name
        store.read_file(record.uri, path)

        def cut_with(memory: Memory) -> CutResult:
            return convert(
                path,
                _held(record, path, memory),
                folder,
                options,
                ffmpeg=ffmpeg,
                time_limit_seconds=time_limit(decoded_seconds),
                memory=memory,
            )

        try:
            found = _Converted(shares.run(cut_with))
        except OutOfMemory as error:
            had = f"it had {size(shares.all_bytes)}: scale it down, or take it again where a step has more"
            found = _Converted(CutResult((), 0, ()), f"{plain_reason(error)}; {had}", shares.all_bytes)
        except BadVideo as error:
            found = _Converted(CutResult((), 0, ()), plain_reason(error))
        yield found


def _write(
    store: Store,
    place: Clips,
    found: _Converted,
    clips: Sequence[ClipRecord],
    version: str,
    options: SegmentOptions,
    video: str,
    spans_digest: str | None = None,
    revision: int = 0,
) -> ClipsFile:
    file = ClipsFile(
        video=video,
        recipe=place.recipe,
        options=options,
        ffmpeg=version,
        clips=tuple(clips),
        dropped_seconds=found.result.dropped_seconds,
        warnings=tuple(plain_reason(warning) for warning in found.result.warnings),
        set_aside=found.reason,
        lacked_bytes=found.lacked_bytes,
        spans_digest=spans_digest,
        revision=revision,
    )
    store.write(place, file)
    return file


def _held(record: VideoRecord, path: Path, memory: Memory) -> VideoProbe:
    """Return the probe from ingest.

    Probe again if an older version did not record all of it.
    """
    if record.is_hdr is None:
        return probe(path, max_seconds=math.inf, memory=memory)
    return VideoProbe(**record.model_dump(include={field.name for field in fields(VideoProbe)}))


def _keep(clip: CutClip, uri: str, video: str, store: Store) -> ClipRecord:
    store.write_file(uri, clip.path)
    return ClipRecord(
        uid=clip_uid(video, clip.start_seconds, clip.stop_seconds),
        video=video,
        index=clip.index,
        uri=uri,
        sha256=clip.sha256,
        size_bytes=clip.size_bytes,
        start_seconds=clip.start_seconds,
        stop_seconds=clip.stop_seconds,
        num_frames=clip.num_frames,
        width=clip.width,
        height=clip.height,
        has_audio=clip.has_audio,
    )
