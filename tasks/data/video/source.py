"""Open an untrusted video file with whitelists and limits.

A failure is explained in plain words.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.container import InputContainer

from tasks.errors import BadVideo, OutOfMemory

FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf")
"""Demuxers that read only one file; this excludes playlists and scripts (hls, dash, concat, …)."""

AUDIO_FORMATS = ("mp3", "flac", "wav", "aac")
"""Opened only to report that a sound file is not a video. Never passed to ffmpeg."""

FORMAT_NAMES = "mp4, mov, mkv, webm, avi, ts, mpg, flv, wmv, ogv or mxf"

MAX_PIXELS = 8192 * 4352
"""Maximum size of a frame: 8K."""

MIN_SIDE_PIXELS = 32

PROTOCOLS = "file"

MORE_MEMORY = "reading it takes more memory than one video may take; its index may be damaged"

NO_REGULAR_FILE = "not a regular file but a device, a pipe or a folder"


def url(path: Path) -> str:
    """Return a file's URL for ffmpeg, in which dashes and colons have no special meaning."""
    return f"file:{path.absolute()}"


def open_video(path: Path) -> InputContainer:
    """Open `path` for demuxing and decoding.

    Raises:
        BadVideo: it is not a regular file, or is empty, truncated, or in an unsupported format.
        OutOfMemory: its header requires more memory than this process may use.
        FileNotFoundError: the file does not exist.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise BadVideo(f"{path.name}: {NO_REGULAR_FILE}")
    if found.st_size == 0:
        raise BadVideo(f"{path.name}: the file is empty")
    try:
        return av.open(
            url(path),
            container_options={"protocol_whitelist": PROTOCOLS, "format_whitelist": ",".join(FORMATS + AUDIO_FORMATS)},
            options={"max_pixels": str(MAX_PIXELS)},
            metadata_errors="replace",
        )
    except MemoryError as error:
        raise OutOfMemory(f"{path.name}: {MORE_MEMORY}") from error
    except av.error.FFmpegError as error:
        raise BadVideo(f"{path.name}: {_why_closed(path)}") from error


def _why_closed(path: Path) -> str:
    boxes = list(_mp4_boxes(path))
    if boxes[:1] == [b"ftyp"] and b"moov" not in boxes:
        return "no index (moov): the recording or the copy was cut off; repair it or record it again"
    return f"damaged, or not a video in a supported format ({FORMAT_NAMES})"


def _mp4_boxes(path: Path) -> Iterator[bytes]:
    """Yield the types of the top-level boxes of an ISO base media file.

    Source: ISO/IEC 14496-12, 4.2.
    """
    size_bytes, start = path.stat().st_size, 0
    with path.open("rb") as file:
        while start + 8 <= size_bytes:
            file.seek(start)
            header = file.read(16)
            box_bytes = int.from_bytes(header[:4], "big")
            if box_bytes == 1:
                box_bytes = int.from_bytes(header[8:16], "big")
            yield header[4:8]
            if box_bytes < 8:
                return
            start += box_bytes
