"""Cut a whole video into clips in one pass of ffmpeg, and examine the clips.

`ffmpeg` has filters and encoder settings, `spans` cuts parts of a video.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import ffmpeg as arguments_of

from tasks.data.video.child import Memory
from tasks.data.video.ffmpeg import AAC_DELAY_SAMPLES, Log, convert, encoding, input_of, picture, sound
from tasks.data.video.inspection import VideoProbe
from tasks.errors import BadVideo
from tasks.keys import file_sha256
from tasks.options import SegmentOptions

MAX_OVERRUN_SECONDS = 60
"""Maximum time beyond the duration in the header. A bogus timestamp must not produce hours of still frames."""
MIN_LOSS_SECONDS = 0.5


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
    """The clips of one video in order, the duration of the rest that was dropped, and warnings for people.

    What the sound of clips around intervals lacks is in `sound_warnings`.
    """

    clips: tuple[CutClip, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    sound_warnings: tuple[str, ...] = ()


def frames_per_clip(options: SegmentOptions) -> int:
    """Return the number of frames of a full clip."""
    return round(options.clip_seconds * options.fps)


def is_kept(num_frames: int, options: SegmentOptions) -> bool:
    """Check whether a clip of `num_frames` is full, or is a long enough rest."""
    return num_frames >= min(frames_per_clip(options), round(options.min_clip_seconds * options.fps, 6))


def examine(file: Path, index: int, start_frame: int, options: SegmentOptions) -> CutClip:
    """Describe a clip on disk that begins at frame `start_frame` of the video."""
    num_frames, width, height, has_audio = _read_properties(file)
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


def _read_properties(file: Path) -> tuple[int, int, int, bool]:
    """Read a clip's number of frames, width, height, and whether it has sound. Without frames, ffmpeg writes no video stream."""
    with av.open(str(file)) as container:
        if not container.streams.video:
            return 0, 0, 0, False
        video = container.streams.video[0]
        num_packets = Counter(packet.stream_index for packet in container.demux() if packet.size)
        return num_packets[video.index], video.width, video.height, any(num_packets[audio.index] for audio in container.streams.audio)


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

    The new folder is removed on failure. Every clip except the last has exactly `clip_seconds * fps` frames. Pictures are upright, 8-bit
    4:2:0, BT.601 limited range, without B-frames, so that a clip starts at time zero and every player shows it. The same file, options and
    ffmpeg give the same bytes.

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
            f"{name}: {num_bad} of {num_packets} frames are damaged: about {bad_seconds:.1f} of {header_seconds:.1f} s are frozen or blurred"
        )
    if header_seconds - total_seconds > MIN_LOSS_SECONDS:
        losses.append(f"{name}: {header_seconds - total_seconds:.1f} s are missing at the end; the header says {header_seconds:.1f} s")
    if total_seconds - header_seconds > MAX_OVERRUN_SECONDS - 1:
        losses.append(f"{name}: far longer than the {header_seconds:.1f} s in its header; the rest is left out")
    return losses
