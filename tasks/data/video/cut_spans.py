"""Cut parts of a video, such as labelled intervals, into clips of constant frame rate.

Each part is a run of ffmpeg, so the time grows with the labelled time and not with the video.
"""

import math
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import ffmpeg as arguments_of

from tasks.data.video.clip_file import CutClip, CutResult, examine, is_kept
from tasks.data.video.inspection import VideoProbe
from tasks.data.video.interval_spans import FrameSpan
from tasks.data.video.memory import Memory
from tasks.data.video.transcode import (
    AAC_DELAY_SAMPLES,
    ENOUGH_BYTES,
    ENOUGH_BYTES_PER_PIXEL,
    SAMPLE_RATE,
    convert,
    encoding,
    input_of,
    picture,
)
from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions

LEAD_SECONDS, LEAD_GROWTH = 1, 4
"""Reading begins this long before a part, and longer and longer where decoding then begins after the part's first frame.

MPEG-TS and MPEG-PS have no index: a seek ends at any packet, and the first picture that decodes is the next key frame.
"""

AFTER_A_SEEK = {"noaccurate_seek": None, "dts_delta_threshold": 1e6}
"""The first frame may show a picture of before the seek, which ffmpeg would leave out, or take for a jump of the clock from 10 s on (Ogg)."""

EXPECTED_LEAD_SECONDS = 16
"""For the time limit. It is so wide that a longer lead, for the few videos that need one, fits into it."""


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

    A clip shows the same frames at the same times as those of `tasks.data.video.cut.cut`. `index` counts `spans`. A part that does not decode,
    or is shorter than `min_clip_seconds`, is left out with a warning.

    Raises:
        BadVideo: no part decodes, or cutting exceeds the time limit.
        OutOfMemory: cutting exceeds the memory limit, or ffmpeg crashes; if memory is scarce, also for any lost or damaged frame.
        Unavailable: the disk is full.
    """
    memory = memory.enough_at(ENOUGH_BYTES + ENOUGH_BYTES_PER_PIXEL * source.width * source.height)
    stop = monotonic() + time_limit_seconds
    clips_folder = Path(tempfile.mkdtemp(prefix="clips-", dir=folder))
    clips, warnings, lead_seconds = list[CutClip](), list[str](), LEAD_SECONDS
    try:
        for index, span in enumerate(spans):
            if monotonic() >= stop:
                raise BadVideo(f"{path.name}: cutting took longer than {time_limit_seconds:g} s and was stopped")
            of_span = clips_folder / f"{index:04d}"
            of_span.mkdir()
            try:
                lead_seconds, own_warnings = _convert(path, source, span, of_span, options, ffmpeg, stop, memory, lead_seconds)
                clips.append(_examine(path.name, span, index, of_span, options))
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


def _convert(
    path: Path,
    source: VideoProbe,
    span: FrameSpan,
    folder: Path,
    options: SegmentOptions,
    ffmpeg: Path,
    stop: float,
    memory: Memory,
    lead_seconds: int,
) -> tuple[int, list[str]]:
    """Cut one part with a lead of at least `lead_seconds`; return the lead that led to its first frame, and warnings."""
    while True:
        # From a whole second on, times are rounded as they are from zero on, and so the fps filter takes the same frames.
        seek_seconds = max(0, span.start_frame // options.fps - lead_seconds)
        arguments = partial(span_arguments, path, source, span, options, seek_seconds)
        warnings, log = convert(path, folder, source, arguments, ffmpeg, stop - monotonic(), memory)
        key_seconds = math.inf if log.first_key_seconds is None else log.first_key_seconds
        if not seek_seconds or seek_seconds + key_seconds <= span.start_frame / options.fps:
            return lead_seconds, warnings
        for clip in folder.iterdir():
            clip.unlink()
        lead_seconds *= LEAD_GROWTH


def _examine(name: str, span: FrameSpan, index: int, folder: Path, options: SegmentOptions) -> CutClip:
    start_seconds, stop_seconds = (frame / options.fps for frame in (span.start_frame, span.start_frame + span.num_frames))
    files = list(folder.iterdir())
    clip = examine(files[0], index, span.start_frame, options) if files else None
    if clip is None or not clip.num_frames:
        raise BadVideo(f"{name}: nothing of {start_seconds:.2f} to {stop_seconds:.2f} s decodes")
    if not is_kept(clip.num_frames, options):
        reason = f"is shorter than the minimum of {options.min_clip_seconds:g} s per clip"
        raise BadVideo(f"{name}: {start_seconds:.2f} to {clip.stop_seconds:.2f} s {reason}")
    return clip


def decoded_seconds(spans: Sequence[FrameSpan], options: SegmentOptions) -> float:
    """Return the duration that cutting these parts decodes, unless key frames are far apart."""
    return sum(span.num_frames / options.fps + 1 + EXPECTED_LEAD_SECONDS for span in spans)


def span_arguments(
    path: Path, source: VideoProbe, span: FrameSpan, options: SegmentOptions, seek_seconds: int, audio_index: int | None
) -> list[str]:
    """Build ffmpeg's argument list; it writes clip.mp4 into its working folder."""
    num_lead_frames = span.start_frame - seek_seconds * options.fps
    # FLV leaves out frames even when it seeks zero.
    file = input_of(path, ss=seek_seconds, **AFTER_A_SEEK) if seek_seconds else input_of(path)
    video = picture(file[str(source.video_index)].filter("showinfo", checksum=0), source, options)
    part = video.filter("trim", start_frame=num_lead_frames, end_frame=num_lead_frames + span.num_frames)
    streams = [part.filter("setpts", "PTS-STARTPTS")]
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
