"""Choose the parts of a video that clips around labelled intervals show, and cut them out.

Each part is a run of ffmpeg of its own, so the time grows with the labelled time and not with the video.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import ffmpeg as arguments_of
from ffmpeg.nodes import FilterableStream

from tasks.data.video.child import Memory
from tasks.data.video.cut import CutClip, CutResult, examine, frames_per_clip, is_kept, new_folder
from tasks.data.video.ffmpeg import AAC_DELAY_SAMPLES, SAMPLE_RATE, convert, encoding, input_of, picture, sound
from tasks.data.video.inspection import VideoProbe
from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions

LEAD_SECONDS, LEAD_FACTOR = 1, 4
"""Reading begins this long before a part, and longer and longer where decoding then begins after the part's first frame. MPEG-TS and MPEG-PS have no index: a seek ends at any packet, and the first picture that decodes is the next key frame."""

AFTER_A_SEEK = {"noaccurate_seek": None, "dts_delta_threshold": 1e6}
"""The first frame may show a picture from before the seek, which ffmpeg would leave out, or take for a jump of the clock from 10 s on (Ogg)."""

EXPECTED_LEAD_SECONDS = 16
"""For the time limit. It is so wide that a longer lead, for the few videos that need one, fits into it."""


class FrameSpan(NamedTuple):
    """A part of a video in frames, and the interval that it was chosen for.

    Frames are of the clips' constant rate, the interval is in seconds. A part that ends in `next_video` is in the frames and
    seconds of the video in which it begins.
    """

    start_frame: int
    num_frames: int
    interval: tuple[float, float]
    next_video: str | None = None


def interval_spans(intervals: Sequence[tuple[float, float]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts of a video that show its labelled intervals, by time.

    A part has the length of a clip, or that of a shorter video. An interval that fits has its middle in the middle of its part, as far as
    the video allows; a longer one is covered by parts at equal distances, from its start to its end. Of equal parts, that of the longest
    interval remains. All times are in seconds; a part of an interval beyond the video is ignored.
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
    """List the parts that show labelled intervals which go on in the next video, by time.

    Each has the length of a clip. Its middle is that of an interval that fits, else the end of the video. A video that is shorter than a clip has
    none. Of equal parts, that of the longest interval remains.
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
    """Cut these parts of the video `path`, probed as `source`, into clips in a new folder under `folder`.

    A clip shows the same frames at the same times as those of `cut`, and on from the end of the video those of `following`. `index` counts `spans`.
    A part that does not decode, or is shorter than `min_clip_seconds`, is left out with a warning, and so is one that goes on in
    `following` and lacks a frame.

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
    """Cut one part with a lead of at least `lead_seconds`; return the lead that led to its first frame, and what its sound lacks."""
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
        raise BadVideo(f"{name}: {span.num_frames - clip.num_frames} frames are missing where its recording goes on in the next file")
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
    """Let the pictures and the sound of the next video follow the end of a part's own; without sound if one of the two has none."""
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
