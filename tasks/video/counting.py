"""How many frames a clip has, without decoding it."""

from pathlib import Path

import av.error

from tasks.errors import BadVideo
from tasks.video.source import open_video


def count_frames(path: Path) -> int:
    """The number of frames of a clip's first moving picture.

    Raises:
        BadVideo: it does not open, or has none.
    """
    with open_video(path) as container:
        if not container.streams.video:
            raise BadVideo(f"{path.name}: no video stream")
        try:
            num_frames = sum(1 for packet in container.demux(container.streams.video[0]) if packet.size and packet.pts is not None)
        except av.error.FFmpegError as error:
            raise BadVideo(f"{path.name}: cannot be read ({error.strerror})") from error
    if num_frames == 0:
        raise BadVideo(f"{path.name}: it has no frame")
    return num_frames
