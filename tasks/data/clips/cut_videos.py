"""Cut videos into clips, several at a time; skip videos that were cut before."""

import logging
import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

from tasks.data.clips.gather_labels import Given, intervals_to_cut
from tasks.data.clips.stored_clips import clip_uid, find_cut
from tasks.data.video.child import Memory, MemoryShares, usable_bytes
from tasks.data.video.cut import CutClip, CutResult, Following, FrameSpan, cut, cut_spans, decoded_seconds, interval_spans, spans_across
from tasks.data.video.ffmpeg import NUM_ENCODER_THREADS, ffmpeg_version, find_ffmpeg, time_limit
from tasks.data.video.inspection import VideoProbe
from tasks.data.video.probe import probe
from tasks.errors import BadConfiguration, BadVideo, MissingObject, OutOfMemory, OutOfReach, OutOfRoom, Unavailable
from tasks.keys import clip_recipe_of, content_key, file_sha256
from tasks.options import SegmentOptions
from tasks.settings import MachineSettings, load
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord, ClipsFile, Interval, Intervals, SegmentResult, VideoRecord
from tasks.store.stored import connection_of
from tasks.wording import count, plain_reason, size

log = logging.getLogger("retake")

MAX_BATCHES = 64
MIN_VIDEOS_PER_BATCH = 24
"""Minimum batch size, if there are enough videos. A mapped Airflow task costs seconds, two run at once, and each cuts videos in parallel."""

NO_CLIPS = CutResult((), 0, ())

MAX_AT_ONCE = 8
SHARE_BYTES = 256 << 20
"""Minimum memory per ffmpeg process: more than a 1920x1080 video needs."""


def batch_size(num_videos: int) -> int:
    """Compute the number of videos per mapped task.

    Two or more videos make at least two batches, so that two machines can share the work.
    """
    return max(1, math.ceil(num_videos / MAX_BATCHES), min(MIN_VIDEOS_PER_BATCH, math.ceil(num_videos / 2)))


def cut_videos(store: Store, store_uri: str, videos: Sequence[str], options: SegmentOptions, intervals: Intervals) -> SegmentResult:
    """Cut these videos, several at a time, and summarise the results."""
    memory_bytes = usable_bytes()
    num_threads = num_at_once(load(MachineSettings).num_processes or len(os.sched_getaffinity(0)), memory_bytes)
    shares = MemoryShares(num_threads, memory_bytes)

    def take(video: str) -> tuple[str, list[ClipsFile]]:
        record = store.read(Layout(store_uri).video(video).probe)
        lists = list[ClipsFile]()
        for part in options.parts:
            if part.cut == "intervals":
                lists.append(cut_around(store, store_uri, record, part, intervals.get(video, ()), shares))
            else:
                lists.append(cut_video(store, store_uri, record, part, shares))
            # The grid says all that is wrong with the video.
            if lists[-1].set_aside:
                break
        return record.names[0], lists

    named = list[tuple[str, ClipsFile]]()
    with ThreadPoolExecutor(num_threads) as pool:
        for number, (name, parts) in enumerate(pool.map(take, videos), 1):
            for clips in parts:
                kind = "" if clips.options.cut == "grid" else " around intervals"
                log.info("%d of %d: %s: %s", number, len(videos), name, clips.set_aside or f"{count(len(clips.clips), 'clip')}{kind}")
                named.append((name, clips))
    return SegmentResult(
        num_videos=len(videos),
        num_clips=sum(len(file.clips) for _, file in named),
        dropped_seconds=round(sum(file.dropped_seconds for _, file in named), 3),
        warnings=tuple(SetAside(name=name, reason=warning) for name, file in named for warning in (*file.warnings, *file.sound_warnings)),
        set_aside=tuple(SetAside(name=name, reason=file.set_aside) for name, file in named if file.set_aside),
    )


def num_at_once(num_cores: int, memory_bytes: int) -> int:
    """Compute how many videos to cut in parallel."""
    # One more than encode at once, because a video is also read and uploaded.
    return min(MAX_AT_ONCE, num_cores // NUM_ENCODER_THREADS + 1, max(1, memory_bytes // SHARE_BYTES))


def cut_video(store: Store, store_uri: str, record: VideoRecord, options: SegmentOptions, shares: MemoryShares) -> ClipsFile:
    """Cut one video on the grid, or record why it cannot be cut.

    The result of an earlier cutting with as much memory is kept.
    """
    before = find_cut(store, store_uri, record.video, options)
    if before and _had_enough(before, shares):
        return before
    version = ffmpeg_version(find_ffmpeg(load(MachineSettings).ffmpeg))
    place = Layout(store_uri).clips(record.video, clip_recipe_of(options, version))
    with tempfile.TemporaryDirectory(prefix="retake-segment-") as folder:
        converted = _convert(Path(folder), store, record, options, shares)
        clips = [_keep(clip, place.clip(clip.index), record.video, store) for clip in converted.result.clips]
        file = _clips_file(record.video, place, converted, clips, version, options)
        store.write(place, file)
        return file


def cut_around(
    store: Store, store_uri: str, record: VideoRecord, options: SegmentOptions, intervals: Sequence[Interval], shares: MemoryShares
) -> ClipsFile:
    """Cut clips around the labelled intervals of one video, as far as they are new.

    The new list has the clips that were cut before, by any version of ffmpeg, where they lie. Clips of intervals that are gone stay in the
    store for older datasets. Failures are recorded as by `cut_video`, but as warnings if the list has clips.
    """
    spans = spans_of(record, intervals, options)
    digest = spans_digest(spans)
    before = find_cut(store, store_uri, record.video, options)
    if before and before.spans_digest == digest and _had_enough(before, shares):
        return before
    version = ffmpeg_version(find_ffmpeg(load(MachineSettings).ffmpeg))
    place = Layout(store_uri).clips(record.video, clip_recipe_of(options, version))
    known = {(round(clip.start_seconds * options.fps), clip.next_video): clip for clip in before.clips} if before else {}
    missing = [span for span in spans if (span.start_frame, span.next_video) not in known]
    next_video = next((span.next_video for span in missing if span.next_video), None)
    next_record = store.read(Layout(store_uri).video(next_video).probe) if next_video else None
    with tempfile.TemporaryDirectory(prefix="retake-segment-") as folder:
        converted = _convert(Path(folder), store, record, options, shares, missing, next_record)
        for made in converted.result.clips:
            span, times = missing[made.index], (round(made.start_seconds * 1000), round(made.stop_seconds * 1000))
            uri = place.clip_across(*times, span.next_video) if span.next_video else place.clip_around(*times)
            known[span.start_frame, span.next_video] = _keep(made, uri, record.video, store)
        clips = list[ClipRecord]()
        for span in spans:
            if clip := known.get((span.start_frame, span.next_video)):
                around = Interval(start_seconds=span.interval[0], stop_seconds=span.interval[1], next_video=span.next_video)
                clips.append(clip.model_copy(update={"index": len(clips), "around": around}))
        file = _clips_file(record.video, place, converted, clips, version, options)
        more: dict[str, object] = {"spans_digest": digest, "revision": before.revision + 1 if before else 0}
        if clips and file.set_aside:
            more |= {"warnings": (file.set_aside,), "set_aside": None}
        if clips and before:
            more["sound_warnings"] = tuple(dict.fromkeys((*before.sound_warnings, *file.sound_warnings)))
        file = file.model_copy(update=more)
        store.write(place, file)
        return file


def num_uncut(
    store: Store, store_uri: str, given: Given, segment: SegmentOptions, cut: Iterable[tuple[VideoRecord, Sequence[ClipsFile]]]
) -> int:
    """Count the videos of `cut` with other intervals than when clips were cut around them."""
    part = next((part for part in segment.parts if part.cut == "intervals"), None)
    if part is None:
        return 0
    # Around intervals of a video that cannot be cut on the grid, nothing is cut.
    usable = [(record, files) for record, files in cut if not any(file.set_aside for file in files if file.options.cut == "grid")]
    made = {record.video: file.spans_digest for record, files in usable for file in files if file.options.cut == "intervals"}
    intervals = intervals_to_cut(store, store_uri, given, {record.video for record, _ in usable})
    return sum(
        made.get(record.video, spans_digest(())) != spans_digest(spans_of(record, intervals.get(record.video, ()), part))
        for record, _ in usable
    )


def spans_of(record: VideoRecord, intervals: Sequence[Interval], options: SegmentOptions) -> list[FrameSpan]:
    """List the parts around these intervals; those that end in the next video come last."""
    own = [(interval.start_seconds, interval.stop_seconds) for interval in intervals if not interval.next_video]
    across = [(interval.start_seconds, interval.stop_seconds, interval.next_video) for interval in intervals if interval.next_video]
    return [*interval_spans(own, record.duration_seconds, options), *spans_across(across, record.duration_seconds, options)]


def spans_digest(spans: Sequence[FrameSpan]) -> str:
    """Hash the parts to cut, to see whether they were cut before."""
    return content_key({"spans": [span if span.next_video else span[:3] for span in spans]})


def _had_enough(before: ClipsFile, shares: MemoryShares) -> bool:
    """Check that nothing is missing for want of memory that this machine has."""
    return before.lacked_bytes is None or before.lacked_bytes >= shares.all_bytes


@dataclass(frozen=True)
class _Converted:
    """The clips on disk, or why there are none."""

    result: CutResult
    reason: str | None = None
    lacked_bytes: int | None = None
    is_out_of_reach: bool = False


def _convert(
    folder: Path,
    store: Store,
    record: VideoRecord,
    options: SegmentOptions,
    shares: MemoryShares,
    spans: Sequence[FrameSpan] | None = None,
    next_record: VideoRecord | None = None,
) -> _Converted:
    """Fetch a video and cut it in `folder`, on the grid or into `spans`."""
    if spans is not None and not spans:
        return _Converted(NO_CLIPS)
    ffmpeg, path = find_ffmpeg(load(MachineSettings).ffmpeg), folder / "source"
    limit = time_limit(record.duration_seconds if spans is None else decoded_seconds(spans, options))

    def cut_with(memory: Memory) -> CutResult:
        source = _probed(record, path, memory)
        if spans is None:
            return cut(path, source, folder, options, ffmpeg=ffmpeg, time_limit_seconds=limit, memory=memory)
        after = following if isinstance(following, tuple) else None
        return cut_spans(
            path, source, folder, options, spans=spans, ffmpeg=ffmpeg, time_limit_seconds=limit, memory=memory, following=after
        )

    try:
        _fetch_source(store, record, path)
        following = _fetch_next(store, next_record, folder / "next", shares) if next_record else None
        if isinstance(following, _Converted):
            # Clips are numbered by their spans: those across come last (`spans_of`), so that the others keep their numbers.
            spans = [span for span in spans or () if not span.next_video]
        result = shares.run(cut_with)
    except (MissingObject, BadVideo) as error:
        return _not_converted(error, path, shares)
    if not isinstance(following, _Converted):
        return _Converted(result)
    warnings = (*result.warnings, f"no clip goes on in the next file: {following.reason}")
    return replace(following, result=replace(result, warnings=warnings), reason=None)


def _fetch_next(store: Store, record: VideoRecord, path: Path, shares: MemoryShares) -> Following | _Converted:
    """Fetch the next video, or tell why no clip ends in it."""
    try:
        _fetch_source(store, record, path)
        return path, shares.run(partial(_probed, record, path))
    except (MissingObject, BadVideo) as error:
        return _not_converted(error, path, shares)


def _not_converted(error: MissingObject | BadVideo, path: Path, shares: MemoryShares) -> _Converted:
    """Tell why a video gives no clips, and which memory was too little."""
    reason = plain_reason(error, path.name)
    if isinstance(error, MissingObject | OutOfRoom):
        # No memory is enough, so that it is tried again by the next step.
        return _Converted(NO_CLIPS, reason, 0, isinstance(error, OutOfReach))
    if isinstance(error, OutOfMemory):
        had = f"it had {size(shares.all_bytes)}: scale it down, or take it again where a step has more"
        return _Converted(NO_CLIPS, f"{reason}; {had}", shares.all_bytes)
    return _Converted(NO_CLIPS, reason)


def _fetch_source(store: Store, record: VideoRecord, path: Path) -> None:
    """Fetch a video to `path`.

    Raises:
        MissingObject: it is gone, or has another content where it was left in place.
        OutOfReach: the server on which it was left does not give it.
    """
    is_in_place = connection_of(record.uri) is not None
    try:
        store.read_file(record.uri, path)
    except (BadConfiguration, Unavailable) as error:
        if not is_in_place:
            raise
        raise OutOfReach(str(error)) from error
    if is_in_place and file_sha256(path) != record.video:
        raise MissingObject(f"{record.uri} has another content than when it was taken in; put the video back there, or ingest it again")


def _clips_file(
    video: str, place: Clips, converted: _Converted, clips: Sequence[ClipRecord], version: str, options: SegmentOptions
) -> ClipsFile:
    return ClipsFile(
        video=video,
        recipe=place.recipe,
        options=options,
        ffmpeg=version,
        clips=tuple(clips),
        dropped_seconds=converted.result.dropped_seconds,
        warnings=tuple(plain_reason(warning) for warning in converted.result.warnings),
        sound_warnings=tuple(dict.fromkeys(plain_reason(warning) for warning in converted.result.sound_warnings)),
        set_aside=converted.reason,
        lacked_bytes=converted.lacked_bytes,
        is_out_of_reach=converted.is_out_of_reach,
    )


def _probed(record: VideoRecord, path: Path, memory: Memory) -> VideoProbe:
    """Return the probe from ingest, or probe again if an older version recorded less."""
    if record.is_hdr is None:
        return probe(path, max_seconds=math.inf, memory=memory)
    return VideoProbe(**{field.name: getattr(record, field.name) for field in fields(VideoProbe)})


def _keep(clip: CutClip, uri: str, video: str, store: Store) -> ClipRecord:
    store.write_file(uri, clip.path)
    properties = {name: value for name, value in asdict(clip).items() if name != "path"}
    return ClipRecord(uid=clip_uid(video, clip.start_seconds, clip.stop_seconds), video=video, uri=uri, **properties)
