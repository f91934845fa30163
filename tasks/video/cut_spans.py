"""Cut parts of a video, such as labelled intervals, into clips of constant frame rate.

Each part is one run of ffmpeg, so the time grows with the labelled time and not with the video.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import ffmpeg as arguments_of

from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions
from tasks.video.cut import (
    AAC_DELAY_SAMPLES,
    ENOUGH_BYTES,
    ENOUGH_BYTES_PER_PIXEL,
    SAMPLE_RATE,
    CutClip,
    CutResult,
    convert,
    encoding,
    examine,
    input_of,
    is_kept,
    picture,
)
from tasks.video.inspection import VideoProbe
from tasks.video.interval_spans import FrameSpan
from tasks.video.memory import Memory

LEAD_SECONDS = 1
"""Decoded at least before each part, so that its first frame is the one that the grid shows at that time."""

WITHOUT_INDEX, LEAD_SECONDS_WITHOUT_INDEX = ("mpegts", "mpeg"), 10
"""Seeking in these ends before the moment, but the first picture that decodes is the next key frame, which may lie after it."""


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
) -> CutResult:
    """Cut these parts of the video `path`, probed as `source`, into clips in a new folder under `folder`.

    A clip shows the same frames at the same times as those of `tasks.video.cut.cut`. `index` counts `spans`. A part that does not decode,
    or is shorter than `min_clip_seconds`, is left out with a warning.

    Raises:
        BadVideo: no part decodes, or cutting exceeds the time limit.
        OutOfMemory: cutting exceeds the memory limit, or ffmpeg crashes; if memory is scarce, also for any lost or damaged frame.
        Unavailable: the disk is full.
    """
    memory = memory.enough_at(ENOUGH_BYTES + ENOUGH_BYTES_PER_PIXEL * source.width * source.height)
    stop = monotonic() + time_limit_seconds
    clips_folder = Path(tempfile.mkdtemp(prefix="clips-", dir=folder))
    clips, warnings = list[CutClip](), list[str]()
    try:
        for index, span in enumerate(spans):
            if monotonic() >= stop:
                raise BadVideo(f"{path.name}: cutting took longer than {time_limit_seconds:g} s and was stopped")
            of_span = clips_folder / f"{index:04d}"
            of_span.mkdir()
            try:
                clip, own_warnings = _cut(path, source, span, index, of_span, options, ffmpeg, stop - monotonic(), memory)
                clips.append(clip)
                warnings += own_warnings
            except OutOfMemory:
                raise
            except BadVideo as error:
                warnings.append(str(error))
    except BaseException:
        shutil.rmtree(clips_folder)
        raise
    if spans and not clips:
        raise BadVideo(warnings[0])
    return CutResult(tuple(clips), 0, tuple(dict.fromkeys(warnings)))


def _cut(
    path: Path,
    source: VideoProbe,
    span: FrameSpan,
    index: int,
    folder: Path,
    options: SegmentOptions,
    ffmpeg: Path,
    time_limit_seconds: float,
    memory: Memory,
) -> tuple[CutClip, list[str]]:
    warnings, _ = convert(
        path, folder, source, lambda audio: span_arguments(path, source, span, options, audio), ffmpeg, time_limit_seconds, memory
    )
    start_seconds, stop_seconds = (frame / options.fps for frame in (span.start_frame, span.start_frame + span.num_frames))
    files = list(folder.iterdir())
    clip = examine(files[0], index, span.start_frame, options) if files else None
    if clip is None or not clip.num_frames:
        raise BadVideo(f"{path.name}: nothing of {start_seconds:.2f} to {stop_seconds:.2f} s decodes")
    if not is_kept(clip.num_frames, options):
        reason = f"is shorter than the minimum of {options.min_clip_seconds:g} s per clip"
        raise BadVideo(f"{path.name}: {start_seconds:.2f} to {clip.stop_seconds:.2f} s {reason}")
    return clip, warnings


def decoded_seconds(spans: Sequence[FrameSpan], options: SegmentOptions) -> float:
    """Return the duration that cutting these parts decodes at most."""
    return sum(span.num_frames / options.fps + 1 + LEAD_SECONDS_WITHOUT_INDEX for span in spans)


def span_arguments(path: Path, source: VideoProbe, span: FrameSpan, options: SegmentOptions, audio_index: int | None) -> list[str]:
    """Build ffmpeg's argument list; it writes clip.mp4 into its working folder."""
    # From a whole second on, times are rounded as they are from zero on, and so the fps filter takes the same frames.
    lead_seconds = LEAD_SECONDS_WITHOUT_INDEX if source.container in WITHOUT_INDEX else LEAD_SECONDS
    seek_seconds = max(0, span.start_frame // options.fps - lead_seconds)
    num_lead_frames = span.start_frame - seek_seconds * options.fps
    # FLV leaves out frames even when it seeks zero.
    file = input_of(path, ss=seek_seconds) if seek_seconds else input_of(path)
    video = picture(file, source, options).filter("trim", start_frame=num_lead_frames, end_frame=num_lead_frames + span.num_frames)
    streams = [video.filter("setpts", "PTS-STARTPTS")]
    if audio_index is not None:
        # As on the grid, silence fills gaps, and the encoder's delay has its place before the first sample.
        num_lead_samples = round(num_lead_frames * SAMPLE_RATE / options.fps)
        first_pts = num_lead_samples + AAC_DELAY_SAMPLES
        audio = file[str(audio_index)].filter("aresample", SAMPLE_RATE).filter("aresample", first_pts=first_pts, **{"async": 1})
        streams.append(audio.filter("asetpts", f"PTS-{num_lead_samples}").filter("apad"))
    output = arguments_of.output(
        *streams,
        "clip.mp4",
        **encoding(options, has_audio=audio_index is not None),
        # Where nothing decodes, the padding would have no end.
        t=span.num_frames / options.fps,
        f="mp4",
        movflags="+faststart",
        **{"frames:v": span.num_frames},
    )
    return list(arguments_of.get_args(output))
