"""Cut a video into clips of equal length and constant frame rate.

This takes one pass of ffmpeg.
"""

import shutil
import tempfile
from pathlib import Path

import ffmpeg as arguments_of

from tasks.data.video.clip_file import CutResult, examine, frames_per_clip, is_kept
from tasks.data.video.ffmpeg import Log
from tasks.data.video.inspection import VideoProbe
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
from tasks.errors import BadVideo
from tasks.options import SegmentOptions

MAX_OVERRUN_SECONDS = 60
"""Maximum time beyond the duration in the header. A bogus timestamp must not produce hours of still frames."""

MIN_LOSS_SECONDS = 0.5


def cut(
    path: Path, source: VideoProbe, folder: Path, options: SegmentOptions, *, ffmpeg: Path, time_limit_seconds: float, memory: Memory
) -> CutResult:
    """Cut the video `path`, probed as `source`, into clips in a new folder under `folder`.

    The new folder is removed on failure. Every clip except the last has exactly `clip_seconds * fps` frames. Pictures are upright, 8-bit
    4:2:0, BT.601 limited range, without B-frames, so that a clip starts at time zero and every player shows it. The same file, options and
    ffmpeg give the same bytes.

    Raises:
        BadVideo: nothing decodes, the video is shorter than `min_clip_seconds`, or cutting exceeds the time limit.
        OutOfMemory: cutting exceeds the memory limit, or ffmpeg crashes; if memory is scarce, also for any lost or damaged frame.
        Unavailable: the disk is full.
    """
    memory = memory.enough_at(ENOUGH_BYTES + ENOUGH_BYTES_PER_PIXEL * source.width * source.height)
    clips_folder = Path(tempfile.mkdtemp(prefix="clips-", dir=folder))
    try:
        return _cut(path, clips_folder, options, source, ffmpeg, time_limit_seconds, memory)
    except BaseException:
        shutil.rmtree(clips_folder)
        raise


def _cut(
    path: Path, folder: Path, options: SegmentOptions, source: VideoProbe, ffmpeg: Path, time_limit_seconds: float, memory: Memory
) -> CutResult:
    warnings, log = convert(
        path, folder, source, lambda audio_index: cut_arguments(path, source, options, audio_index), ffmpeg, time_limit_seconds, memory
    )
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
    clips = [examine(file, index, index * frames_per_clip(options), options) for index, file in enumerate(files)]
    if not clips:
        raise BadVideo(f"{path.name}: nothing of it decodes")
    for clip in clips:
        if clip.num_frames > frames_per_clip(options) or (clip.num_frames < frames_per_clip(options) and clip is not clips[-1]):
            raise BadVideo(f"{path.name}: clip {clip.index} came out with {clip.num_frames} frames instead of {frames_per_clip(options)}")
    total_seconds = clips[-1].stop_seconds
    warnings += _losses(path.name, source, log, total_seconds)
    dropped_seconds = 0.0
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
        audio = file[str(audio_index)].filter("aresample", SAMPLE_RATE).filter("aresample", first_pts=AAC_DELAY_SAMPLES, **{"async": 1})
        streams.append(audio.filter("apad"))
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
            f"{name}: {num_bad} of {num_packets} frames are damaged: about {bad_seconds:.1f} of {header_seconds:.1f} s are frozen or blurred"
        )
    if header_seconds - total_seconds > MIN_LOSS_SECONDS:
        losses.append(f"{name}: {header_seconds - total_seconds:.1f} s are missing at the end; the header says {header_seconds:.1f} s")
    if total_seconds - header_seconds > MAX_OVERRUN_SECONDS - 1:
        losses.append(f"{name}: far longer than the {header_seconds:.1f} s in its header; the rest is left out")
    return losses
