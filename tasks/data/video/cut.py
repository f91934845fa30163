"""Cut a whole video into clips, or cut clips around its labelled intervals.

ffmpeg runs once for a whole video, and once for each part around an interval, so the time grows with the labelled time and not with the video.
"""

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import av
import ffmpeg as arguments_of
from ffmpeg.nodes import FilterableStream

from tasks.data.video.child import Memory
from tasks.data.video.ffmpeg import AAC_DELAY_SAMPLES, SAMPLE_RATE, Log, convert, encoding, input_of, picture, sound
from tasks.data.video.inspection import VideoProbe
from tasks.errors import BadVideo, OutOfMemory
from tasks.keys import file_sha256
from tasks.options import SegmentOptions
from tasks.wording import count_with_verb

MAX_OVERRUN_SECONDS = 60
"""Maximum time beyond the duration in the header. A bogus timestamp must not produce hours of still frames."""
MIN_LOSS_SECONDS = 0.5

LEAD_SECONDS, LEAD_FACTOR = 1, 4
"""Reading begins this long before a part, and longer and longer where decoding then begins after the part's first frame. MPEG-TS and MPEG-PS have no index: a seek ends at any packet, and the first picture that decodes is the next key frame."""

AFTER_A_SEEK = {"noaccurate_seek": None, "dts_delta_threshold": 1e6}
"""The first frame may show a picture from before the seek, which ffmpeg would leave out, or take for a jump of the clock from 10 s on (Ogg)."""

EXPECTED_LEAD_SECONDS = 16
"""For the time limit. It is so wide that a longer lead, for the few videos that need one, fits into it."""


@dataclass(frozen=True)
class CutClip:
    """One clip on disk, and its interval of the video."""

    path: Path
    index: int
    start_seconds: float
    stop_seconds: float
    num_frames: int
    has_audio: bool
    size_bytes: int
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class CutResult:
    """The clips of a video in order, the duration dropped, and warnings for people."""

    clips: tuple[CutClip, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    sound_warnings: tuple[str, ...] = ()
    """Sound that clips around intervals lack."""


def frames_per_clip(options: SegmentOptions) -> int:
    """Return the number of frames of a full clip."""
    return round(options.clip_seconds * options.fps)


def is_kept(num_frames: int, options: SegmentOptions) -> bool:
    """Check whether a clip of `num_frames` is full, or is a long enough rest."""
    return num_frames >= min(frames_per_clip(options), round(options.min_clip_seconds * options.fps, 6))


def examine(file: Path, index: int, start_frame: int, options: SegmentOptions) -> CutClip:
    """Describe a clip on disk that begins at frame `start_frame` of the video."""
    num_frames, width, height, has_audio = 0, 0, 0, False
    with av.open(str(file)) as container:
        if container.streams.video:  # ffmpeg writes no video stream without frames
            video = container.streams.video[0]
            num_packets = Counter(packet.stream_index for packet in container.demux() if packet.size)
            num_frames, width, height = num_packets[video.index], video.width, video.height
            has_audio = any(num_packets[audio.index] for audio in container.streams.audio)
    return CutClip(
        path=file,
        index=index,
        start_seconds=start_frame / options.fps,
        stop_seconds=(start_frame + num_frames) / options.fps,
        num_frames=num_frames,
        has_audio=has_audio,
        size_bytes=file.stat().st_size,
        sha256=file_sha256(file),
        width=width,
        height=height,
    )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for clips, which is removed on failure."""
    clips_folder = Path(tempfile.mkdtemp(prefix="clips-", dir=folder))
    try:
        yield clips_folder
    except BaseException:
        shutil.rmtree(clips_folder)
        raise


def cut(
    path: Path, source: VideoProbe, folder: Path, options: SegmentOptions, *, ffmpeg: Path, time_limit_seconds: float, memory: Memory
) -> CutResult:
    """Cut the video `path`, probed as `source`, into clips in a new folder under `folder`.

    Every clip except the last has exactly `clip_seconds * fps` frames. Pictures are upright, 8-bit 4:2:0, BT.601 limited range, without
    B-frames, so that a clip starts at time zero and every player shows it. The same file, options and ffmpeg give the same bytes. The new folder
    is removed on failure.

    Raises:
        BadVideo: nothing decodes, the video is shorter than `min_clip_seconds`, or cutting exceeds the time limit.
        OutOfMemory: cutting exceeds the memory limit, or ffmpeg crashes; if memory is scarce, also for any lost or damaged frame.
        Unavailable: the disk is full.
    """
    num_frames, dropped_seconds = frames_per_clip(options), 0.0
    with new_folder(folder) as clips_folder:
        arguments = partial(cut_arguments, path, source, options)
        warnings, log = convert(path, clips_folder, source, arguments, ffmpeg, time_limit_seconds, memory)
        files = sorted(clips_folder.iterdir(), key=lambda file: int(file.stem))
        clips = [examine(file, index, index * num_frames, options) for index, file in enumerate(files)]
        if not clips:
            raise BadVideo(f"{path.name}: nothing of it decodes")
        for clip in clips:
            if clip.num_frames > num_frames or (clip.num_frames < num_frames and clip is not clips[-1]):
                raise BadVideo(f"{path.name}: clip {clip.index} came out with {clip.num_frames} frames instead of {num_frames}")
        total_seconds = clips[-1].stop_seconds
        warnings += _losses(path.name, source, log, total_seconds)
        if not is_kept(clips[-1].num_frames, options):
            rest = clips.pop()
            rest.path.unlink()
            dropped_seconds = rest.num_frames / options.fps
        if not clips:
            raise BadVideo(f"{path.name}: {total_seconds:.2f} s long, shorter than the minimum of {options.min_clip_seconds:g} s per clip")
    return CutResult(tuple(clips), dropped_seconds, tuple(warnings))


def cut_arguments(path: Path, source: VideoProbe, options: SegmentOptions, audio_index: int | None) -> list[str]:
    """Build ffmpeg's argument list; it writes 0000.mp4, 0001.mp4, … into its working folder."""
    file = input_of(path)
    streams = [picture(file[str(source.video_index)], source, options)]
    if audio_index is not None:
        # Silence fills gaps and a late start. Without space for the encoder's delay before the first sample, the muxer would shift the
        # picture. Endless padding with `shortest` makes the sound end with the picture.
        streams.append(sound(file, audio_index, AAC_DELAY_SAMPLES).filter("apad"))
    num_frames = frames_per_clip(options)
    output = arguments_of.output(
        *streams,
        "%04d.mp4",
        **encoding(options, has_audio=audio_index is not None),
        force_key_frames=f"expr:eq(mod(n,{num_frames}),0)",
        t=source.duration_seconds + MAX_OVERRUN_SECONDS,
        f="segment",
        segment_time=num_frames / options.fps,
        segment_time_delta=1 / (2 * options.fps),
        reset_timestamps=1,
        segment_format="mp4",
        segment_format_options="movflags=+faststart",
    )
    return list(arguments_of.get_args(output))


def _losses(name: str, source: VideoProbe, log: Log, total_seconds: float) -> list[str]:
    header_seconds = source.duration_seconds
    num_bad = log.num_decode_errors.get(source.video_index, 0) + log.num_corrupt_frames
    losses = []
    if num_bad:
        num_packets = log.num_packets.get(source.video_index, num_bad)
        bad_seconds = header_seconds * min(1, num_bad / num_packets)
        losses.append(
            f"{name}: {count_with_verb(num_bad, 'frame', of=num_packets)} damaged: about {bad_seconds:.1f} of {header_seconds:.1f} s are frozen or blurred"
        )
    if header_seconds - total_seconds > MIN_LOSS_SECONDS:
        losses.append(f"{name}: {header_seconds - total_seconds:.1f} s are missing at the end; the header says {header_seconds:.1f} s")
    if total_seconds - header_seconds > MAX_OVERRUN_SECONDS - 1:
        losses.append(f"{name}: far longer than the {header_seconds:.1f} s in its header; the rest is left out")
    return losses


class FrameSpan(NamedTuple):
    """A part of a video in frames of the clips' rate, with its interval (seconds).

    If it ends in `next_video`, both count from the start of the video in which it begins.
    """

    start_frame: int
    num_frames: int
    interval: tuple[float, float]
    next_video: str | None = None


def interval_spans(intervals: Sequence[tuple[float, float]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts of a video that show its labelled intervals, by time.

    A part is as long as a clip, or as a shorter video. An interval (in seconds) that fits is in the middle of its part, as far as the video
    allows. A longer one is covered by parts at equal distances, from its start to its end. Of equal parts, that of the longest interval
    remains. Time beyond the video is ignored.
    """
    num_video_frames = int(video_seconds * options.fps + 1e-6)
    num_frames = min(frames_per_clip(options), num_video_frames)
    spans: dict[int, FrameSpan] = {}
    for interval in sorted(intervals, key=lambda interval: (interval[0] - interval[1], interval)):
        start, stop = (min(max(0.0, seconds * options.fps), num_video_frames) for seconds in interval)
        if stop > start and num_frames:
            for start_frame in _starts(start, stop, num_frames, num_video_frames):
                spans.setdefault(start_frame, FrameSpan(start_frame, num_frames, interval))
    return [spans[start_frame] for start_frame in sorted(spans)]


def _starts(start: float, stop: float, num_frames: int, num_video_frames: int) -> list[int]:
    """List the first frames of the parts that show one interval, given in frames."""
    num_parts = math.ceil((stop - start) / num_frames - 1e-6)
    if num_parts <= 1:
        first = round((start + stop - num_frames) / 2)
        return [min(max(0, first), num_video_frames - num_frames)]
    step = (stop - start - num_frames) / (num_parts - 1)
    return [min(round(start + number * step), num_video_frames - num_frames) for number in range(num_parts)]


def spans_across(intervals: Sequence[tuple[float, float, str]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts that show intervals going on in the next video, by time.

    The middle of a part, which is as long as a clip, is that of an interval that fits, else the end of the video. A video shorter than a clip
    has no such part. Of equal parts, that of the longest interval remains.
    """
    border, num_frames = round(video_seconds * options.fps), frames_per_clip(options)
    spans: dict[int, FrameSpan] = {}
    for start, stop, next_video in sorted(intervals, key=lambda interval: (interval[0] - interval[1], interval)):
        fits = (stop - start) * options.fps <= num_frames
        middle = (start + stop) / 2 * options.fps if fits else border
        start_frame = min(max(border - num_frames + 1, round(middle - num_frames / 2)), border - 1)
        if border >= num_frames:
            spans.setdefault(start_frame, FrameSpan(start_frame, num_frames, (start, stop), next_video))
    return [spans[start_frame] for start_frame in sorted(spans)]


Following = tuple[Path, VideoProbe]
"""The next video, whose first frame follows the last of a video."""


def cut_spans(
    path: Path,
    source: VideoProbe,
    folder: Path,
    options: SegmentOptions,
    *,
    spans: Sequence[FrameSpan],
    ffmpeg: Path,
    time_limit_seconds: float,
    memory: Memory,
    following: Following | None = None,
) -> CutResult:
    """Cut these parts of the video `path`, probed as `source`, as `cut` does.

    A clip shows the same frames at the same times as clips of `cut`, and those of `following` after the end of the video. `index` counts
    `spans`. A part is left out with a warning if it does not decode, is shorter than `min_clip_seconds`, or goes on in `following` and lacks
    a frame.

    Raises:
        BadVideo: no part decodes, or cutting exceeds the time limit.
        OutOfMemory, Unavailable: as `cut`.
    """
    stop = monotonic() + time_limit_seconds
    clips, warnings, sound_warnings, lead_seconds = list[CutClip](), list[str](), list[str](), LEAD_SECONDS
    with new_folder(folder) as clips_folder:
        for index, span in enumerate(spans):
            if monotonic() >= stop:
                raise BadVideo(f"{path.name}: cutting took longer than {time_limit_seconds:g} s and was stopped")
            of_span = clips_folder / f"{index:04d}"
            of_span.mkdir()
            try:
                after = following if span.next_video else None
                lead_seconds, own_warnings = _cut_span(path, source, span, of_span, options, ffmpeg, stop, memory, lead_seconds, after)
                clips.append(_examine_span(path.name, span, index, of_span, options))
                sound_warnings += own_warnings
            except OutOfMemory:
                raise
            except BadVideo as error:
                warnings.append(str(error))
        if spans and not clips:
            raise BadVideo(warnings[0])
    return CutResult(tuple(clips), 0, tuple(dict.fromkeys(warnings)), tuple(sound_warnings))


def _cut_span(
    path: Path,
    source: VideoProbe,
    span: FrameSpan,
    folder: Path,
    options: SegmentOptions,
    ffmpeg: Path,
    stop: float,
    memory: Memory,
    lead_seconds: int,
    following: Following | None,
) -> tuple[int, list[str]]:
    """Cut one part; return the lead that reached its first frame, and sound warnings."""
    while True:
        # From a whole second on, times are rounded as they are from zero on, and so the fps filter takes the same frames.
        seek_seconds = max(0, span.start_frame // options.fps - lead_seconds)
        arguments = partial(span_arguments, path, source, span, options, seek_seconds, following)
        warnings, log = convert(path, folder, source, arguments, ffmpeg, stop - monotonic(), memory, 2 if following else 1)
        key_seconds = math.inf if log.first_key_seconds is None else log.first_key_seconds
        if not seek_seconds or seek_seconds + key_seconds <= span.start_frame / options.fps:
            return lead_seconds, warnings
        for clip in folder.iterdir():
            clip.unlink()
        lead_seconds *= LEAD_FACTOR


def _examine_span(name: str, span: FrameSpan, index: int, folder: Path, options: SegmentOptions) -> CutClip:
    start_seconds, stop_seconds = span.start_frame / options.fps, (span.start_frame + span.num_frames) / options.fps
    files = list(folder.iterdir())
    clip = examine(files[0], index, span.start_frame, options) if files else None
    if clip is None or not clip.num_frames:
        raise BadVideo(f"{name}: nothing of {start_seconds:.2f} to {stop_seconds:.2f} s decodes")
    if not is_kept(clip.num_frames, options):
        interval = f"{start_seconds:.2f} to {clip.stop_seconds:.2f} s"
        raise BadVideo(f"{name}: {interval} is shorter than the minimum of {options.min_clip_seconds:g} s per clip")
    if span.next_video and clip.num_frames < span.num_frames:
        raise BadVideo(
            f"{name}: {count_with_verb(span.num_frames - clip.num_frames, 'frame')} missing where its recording goes on in the next file"
        )
    return clip


def decoded_seconds(spans: Sequence[FrameSpan], options: SegmentOptions) -> float:
    """Return the duration that cutting these parts decodes, unless key frames are far apart."""
    return sum(span.num_frames / options.fps + 1 + EXPECTED_LEAD_SECONDS for span in spans)


def span_arguments(
    path: Path,
    source: VideoProbe,
    span: FrameSpan,
    options: SegmentOptions,
    seek_seconds: int,
    following: Following | None,
    audio_index: int | None,
) -> list[str]:
    """Build ffmpeg's argument list; it writes clip.mp4 into its working folder."""
    num_lead_frames = span.start_frame - seek_seconds * options.fps
    # FLV leaves out frames even when it seeks zero.
    file = input_of(path, ss=seek_seconds, **AFTER_A_SEEK) if seek_seconds else input_of(path)
    video, audio = picture(file[str(source.video_index)].filter("showinfo", checksum=0), source, options), None
    if audio_index is not None:
        # As on the grid, silence fills gaps, and the encoder's delay has its place before the first sample.
        num_lead_samples = round(num_lead_frames * SAMPLE_RATE / options.fps)
        audio = sound(file, audio_index, num_lead_samples + AAC_DELAY_SAMPLES).filter("asetpts", f"PTS-{num_lead_samples}")
    if following:
        num_own_frames = round(source.duration_seconds * options.fps) - span.start_frame
        video, audio = _going_on(video, audio, following, num_own_frames, span.num_frames, options)
    part = video.filter("trim", start_frame=num_lead_frames, end_frame=num_lead_frames + span.num_frames).filter("setpts", "PTS-STARTPTS")
    output = arguments_of.output(
        *([part] if audio is None else [part, audio.filter("apad")]),
        "clip.mp4",
        **encoding(options, has_audio=audio is not None),
        # Where nothing decodes, the padding would have no end.
        t=span.num_frames / options.fps,
        f="mp4",
        movflags="+faststart",
        **{"frames:v": span.num_frames},
    )
    return list(arguments_of.get_args(output))


def _going_on(
    video: FilterableStream,
    audio: FilterableStream | None,
    following: Following,
    num_own_frames: int,
    num_frames: int,
    options: SegmentOptions,
) -> tuple[FilterableStream, FilterableStream | None]:
    """Append the next video to a part, with sound if both have sound."""
    path, source = following
    num_next_frames = num_frames - num_own_frames
    file = input_of(path, t=num_next_frames / options.fps + 1)
    # A frame more, for rounding: if more is missing before it, the part becomes too short, and is left out.
    others = picture(file[str(source.video_index)], source, options).filter("trim", end_frame=num_next_frames + 1)
    video = arguments_of.concat(video, others, v=1, a=0)
    if audio is None or source.audio_index is None:
        return video, None
    own_audio = audio.filter("apad").filter("atrim", end_pts=num_own_frames * SAMPLE_RATE // options.fps)
    return video, arguments_of.concat(own_audio, sound(file, source.audio_index, 0), v=0, a=1)
