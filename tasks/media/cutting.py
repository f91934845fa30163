"""Cut videos into clips, several at a time; skip videos that were cut before."""

import logging
import math
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from tasks.errors import BadVideo, OutOfMemory
from tasks.keys import clip_recipe_of
from tasks.media.clips import clip_uid, find_cut
from tasks.options import SegmentOptions
from tasks.results.record import SetAside
from tasks.results.video import ClipRecord, ClipsFile, SegmentResult, VideoRecord
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.video.cut import NUM_ENCODER_THREADS, CutClip, CutResult, cut
from tasks.video.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.video.inspection import VideoProbe
from tasks.video.memory import Memory, MemoryShares, usable_bytes
from tasks.video.probe import probe
from tasks.wording import plain_reason, size

log = logging.getLogger("retake")

MAX_BATCHES = 64
MIN_VIDEOS_PER_BATCH = 8
"""Minimum batch size, if there are enough videos. A mapped Airflow task costs seconds, and a batch's videos are cut in parallel."""

SECONDS_PER_VIDEO_SECOND = 10
"""Time limit of ffmpeg, as a multiple of the video's duration; at least two minutes."""

MAX_AT_ONCE = 8

SHARE_BYTES = 256 << 20
"""Minimum memory per ffmpeg process: more than a 1920x1080 video needs."""


def batch_size(num_videos: int) -> int:
    """Compute the number of videos per mapped task.

    At most 64 batches, and at least two, so that two machines can share the work.
    """
    return max(1, math.ceil(num_videos / MAX_BATCHES), min(MIN_VIDEOS_PER_BATCH, math.ceil(num_videos / 2)))


def cut_videos(store: Store, store_uri: str, videos: Sequence[str], options: SegmentOptions) -> SegmentResult:
    """Cut these videos, several at a time, and summarise the results."""

    memory_bytes = usable_bytes()
    num_threads = num_at_once(load(MachineSettings).num_processes or len(os.sched_getaffinity(0)), memory_bytes)
    shares = MemoryShares(num_threads, memory_bytes)

    def take(video: str) -> tuple[str, ClipsFile]:
        record = store.read(Layout(store_uri).video(video).probe)
        return record.names[0], cut_video(store, store_uri, record, options, shares)

    files, names = [], []
    with ThreadPoolExecutor(num_threads) as pool:
        for number, (name, clips) in enumerate(pool.map(take, videos), 1):
            log.info("%d of %d: %s: %s", number, len(videos), name, clips.set_aside or f"{len(clips.clips)} clips")
            files.append(clips)
            names.append(name)
    return SegmentResult(
        num_videos=len(files),
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
    """Cut one video, unless it was cut before.

    If it cannot be cut, the reason is recorded. A video that ran out of memory is retried on a machine with more.
    """
    cut_before = find_cut(store, store_uri, record.video, options)
    if cut_before and (cut_before.lacked_bytes is None or cut_before.lacked_bytes >= shares.all_bytes):
        return cut_before
    ffmpeg = find_ffmpeg(load(MachineSettings).ffmpeg)
    version = ffmpeg_version(ffmpeg)
    recipe = clip_recipe_of(options, version)
    place = Layout(store_uri).clips(record.video, recipe)
    with tempfile.TemporaryDirectory(prefix="retake-segment-") as name:
        folder = Path(name)
        source = folder / Path(record.uri).name
        store.read_file(record.uri, source)
        found, reason, lacked_bytes = CutResult((), 0, ()), None, None
        try:
            seconds = max(120, SECONDS_PER_VIDEO_SECOND * record.duration_seconds)

            def cut_with(memory: Memory) -> CutResult:
                return cut(source, _held(record, source, memory), folder, options, ffmpeg=ffmpeg, time_limit_seconds=seconds, memory=memory)

            found = shares.run(cut_with)
        except OutOfMemory as error:
            lacked_bytes = shares.all_bytes
            reason = f"{plain_reason(error)}; it had {size(lacked_bytes)}: scale it down, or take it again where a step has more"
        except BadVideo as error:
            reason = plain_reason(error)
        clips = ClipsFile(
            video=record.video,
            recipe=recipe,
            options=options,
            ffmpeg=version,
            clips=tuple(_keep(clip, place.clip(clip.index), record.video, store) for clip in found.clips),
            dropped_seconds=found.dropped_seconds,
            warnings=tuple(plain_reason(warning) for warning in found.warnings),
            set_aside=reason,
            lacked_bytes=lacked_bytes,
        )
    store.write(place, clips)
    return clips


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
