"""Describe the clips that a video was cut into, as they lie on disk."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av

from tasks.options import SegmentOptions


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
    """The clips of one video in order, with warnings for people.

    The duration of the dropped rest is included.
    """

    clips: tuple[CutClip, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]


def frames_per_clip(options: SegmentOptions) -> int:
    """Return the number of frames of a full clip."""
    return round(options.clip_seconds * options.fps)


def is_kept(num_frames: int, options: SegmentOptions) -> bool:
    """Check whether a clip of `num_frames` is full, or is a long enough rest."""
    return num_frames >= min(frames_per_clip(options), round(options.min_clip_seconds * options.fps, 6))


def examine(file: Path, index: int, start_frame: int, options: SegmentOptions) -> CutClip:
    """Describe a clip on disk that begins at frame `start_frame` of the video."""
    num_frames, width, height, has_audio = _read_properties(file)
    with file.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return CutClip(
        path=file,
        index=index,
        start_seconds=start_frame / options.fps,
        stop_seconds=(start_frame + num_frames) / options.fps,
        num_frames=num_frames,
        has_audio=has_audio,
        size_bytes=file.stat().st_size,
        sha256=sha256,
        width=width,
        height=height,
    )


def _read_properties(file: Path) -> tuple[int, int, int, bool]:
    """Read a clip's number of frames, width, height, and whether it has sound.

    Without frames, ffmpeg writes no video stream.
    """
    with av.open(str(file)) as container:
        if not container.streams.video:
            return 0, 0, 0, False
        video = container.streams.video[0]
        num_packets = Counter(packet.stream_index for packet in container.demux() if packet.size)
        return num_packets[video.index], video.width, video.height, any(num_packets[audio.index] for audio in container.streams.audio)
