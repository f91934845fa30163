"""Open and probe an untrusted video file with whitelists and limits.

The file may crash or overload this process, so it is a child: `python -m tasks.data.video.inspection probe PATH MAX_SECONDS`, or `count PATH`.
The last line of stdout is the answer, as JSON. At most the first frame is decoded.
"""

import json
import math
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

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

READY = "ready"
"""First line of stdout: the process has started. Later failures are caused by the file."""

MAX_PACKETS_BEFORE_A_FRAME = 300

HDR_TRANSFERS = (16, 18)
"""SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG), as numbered in ITU-T H.273."""

MAX_CAMERA_LENGTH = 60
FIRST_YEAR, LAST_YEAR = 2000, 2099
"""A container without a time has that of its format's epoch: 1904 or 1970."""

MAKES = ("make", "com.apple.quicktime.make", "com.android.manufacturer")
MODELS = ("model", "com.apple.quicktime.model", "com.android.model")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?")


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
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadVideo(f"{path.name}: {NO_REGULAR_FILE}")
    if status.st_size == 0:
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
    """Yield the types of an MP4's top-level boxes (ISO/IEC 14496-12, 4.2)."""
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


class Undecoded(BadVideo):
    """The file opens, but its first pictures do not decode."""


KINDS = {OutOfMemory: "out_of_memory", Undecoded: "undecoded"}


@dataclass(frozen=True)
class VideoProbe:
    """Properties of a video file.

    `video_index` and `audio_index` are the streams to use. `camera` and `recorded_at` are None unless tags name them.
    """

    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    fps: float
    duration_seconds: float
    is_hdr: bool
    video_index: int
    audio_index: int | None
    camera: str | None
    recorded_at: datetime | None

    @property
    def has_audio(self) -> bool:
        """Check whether there is a sound stream; cutting finds out whether it decodes."""
        return self.audio_index is not None


def main() -> None:
    """Print the answer, without the file's name. An unexpected exception ends only this process."""
    print(READY, flush=True)  # noqa: T201 - the parent reads it
    command, path, *arguments = sys.argv[1:]
    print(json.dumps(_answer(command, Path(path), *arguments), default=datetime.isoformat))  # noqa: T201 - as above


def _answer(command: str, path: Path, *arguments: str) -> dict[str, object]:
    try:
        return {"count": count(path)} if command == "count" else {"probe": asdict(inspect(path, max_seconds=float(*arguments)))}
    except MemoryError:
        return {"out_of_memory": MORE_MEMORY}
    except BadVideo as error:
        return {KINDS.get(type(error), "bad"): str(error).removeprefix(f"{path.name}: ")}


def inspect(path: Path, *, max_seconds: float) -> VideoProbe:
    """Probe `path` in this process, as `tasks.data.video.probe.probe` does in a child.

    Raises:
        BadVideo: as there.
        MemoryError: this process has too little memory.
    """
    with open_video(path) as container:
        stream = _video_stream(path, container)
        audio = container.streams.best("audio", related=stream)
        header_seconds, rate = _header_seconds(container, stream), stream.average_rate or stream.guessed_rate
        frame, packets = _first_frame(path, container, stream, measure=not (header_seconds and rate))
        rotation_degrees = -frame.rotation % 360
        width, height = displayed_size(frame.width, frame.height, stream.sample_aspect_ratio, rotation_degrees)
        if min(width, height) < MIN_SIDE_PIXELS:
            raise BadVideo(f"{path.name}: {width}x{height} pixels are too few; the shorter side needs {MIN_SIDE_PIXELS}")
        _refuse_large(path, width, height)
        duration_seconds = header_seconds or packets.seconds
        if duration_seconds <= 0:
            raise BadVideo(f"{path.name}: a single picture is not a video")
        if duration_seconds > max_seconds:
            raise BadVideo(f"{path.name}: {duration_seconds / 60:.1f} minutes long; at most {max_seconds / 60:.1f} are allowed")
        return VideoProbe(
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=frame.format.name,
            width=width,
            height=height,
            rotation_degrees=rotation_degrees,
            fps=float(rate) if rate else packets.num_packets / duration_seconds,
            duration_seconds=duration_seconds,
            is_hdr=stream.codec_context.color_trc in HDR_TRANSFERS,
            video_index=stream.index,
            audio_index=audio.index if audio else None,
            camera=camera(container.metadata),
            recorded_at=recorded_at(container.metadata),
        )


def count(path: Path) -> int:
    """Count the frames in this process; see `tasks.data.video.probe.count_frames`."""
    with open_video(path) as container:
        if not container.streams.video:
            raise BadVideo(f"{path.name}: no video stream")
        try:
            num_frames = sum(1 for packet in container.demux(container.streams.video[0]) if packet.size and packet.pts is not None)
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise BadVideo(f"{path.name}: cannot be read ({error.strerror})") from error
    if num_frames == 0:
        raise BadVideo(f"{path.name}: it has no frames")
    return num_frames


def displayed_size(width: int, height: int, pixel_aspect: Fraction | None, rotation_degrees: int) -> tuple[int, int]:
    """Return width and height as displayed: in square pixels, after rotation."""
    square_width = round(width * (pixel_aspect or 1))
    return (height, square_width) if rotation_degrees % 180 == 90 else (square_width, height)


def camera(tags: Mapping[str, str]) -> str | None:
    """Return the camera's make and model in printable text; None without a model."""
    tags = {name.casefold(): text for name, text in tags.items()}
    make, model = _plain(tags, MAKES), _plain(tags, MODELS)
    if not model:
        return None
    named = model if model.casefold().startswith(make.casefold()) else f"{make} {model}"
    return named[:MAX_CAMERA_LENGTH].strip()


def recorded_at(tags: Mapping[str, str]) -> datetime | None:
    """Return the start of the recording by the camera's clock, if its year is plausible.

    Many cameras write their local time as if it were UTC.
    """
    text = next((text for name, text in tags.items() if name.casefold() == "creation_time"), "")
    if not TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if is_plausible(time) else None


def is_plausible(time: datetime) -> bool:
    """Check whether a time is in UTC, and in a year of digital cameras."""
    return time.tzinfo == UTC and FIRST_YEAR <= time.year <= LAST_YEAR


def _plain(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    text = next((tags[name] for name in names if tags.get(name)), "")[: 4 * MAX_CAMERA_LENGTH]
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


@dataclass
class _Packets:
    num_packets: int = 0
    start_seconds: float = math.inf
    stop_seconds: float = -math.inf

    @property
    def seconds(self) -> float:
        return max(0.0, self.stop_seconds - self.start_seconds)

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        if packet.pts is None or packet.time_base is None:
            return
        self.num_packets += 1
        self.start_seconds = min(self.start_seconds, float(packet.pts * packet.time_base))
        self.stop_seconds = max(self.stop_seconds, float((packet.pts + (packet.duration or 0)) * packet.time_base))


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = container.streams.video
    moving = [s for s in streams if not s.disposition & Disposition.attached_pic]
    if streams and not moving:
        raise BadVideo(f"{path.name}: a cover picture is not a video, and there is only sound beside it")
    if not moving or container.format.name in AUDIO_FORMATS:
        raise BadVideo(f"{path.name}: no video stream" + (", only audio" if container.streams.audio else ""))
    best = container.streams.best("video")
    stream = next((s for s in moving if best is not None and s.index == best.index), moving[0])
    if stream.codec_context is None:
        raise BadVideo(f"{path.name}: its video codec is unknown")
    _refuse_large(path, stream.width, stream.height)
    return stream


def _refuse_large(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadVideo(f"{path.name}: {width}x{height} pixels are too many; at most 8192x4352 are allowed")


def _header_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _first_frame(path: Path, container: InputContainer, stream: VideoStream, *, measure: bool) -> tuple[VideoFrame, _Packets]:
    """Decode the first frame; with `measure`, also read all packets."""
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.codec_context.thread_count = 1
    frame: VideoFrame | None = None
    packets = _Packets()
    try:
        for packet in container.demux(stream):
            packets.add(packet)
            if frame is None:
                frame = _decoded(packet)
            if frame is None and packets.num_packets == MAX_PACKETS_BEFORE_A_FRAME:
                break
            if frame is not None and not measure:
                break
    except MemoryError:
        raise
    except av.error.FFmpegError:
        pass  # damage stops the demuxer: the packets before it count
    if frame is None:
        raise Undecoded(f"{path.name}: its picture does not decode, or is larger than 8192x4352 pixels")
    return frame, packets


def _decoded(packet: "av.Packet[VideoStream]") -> VideoFrame | None:
    try:
        frames = packet.decode()
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None


if __name__ == "__main__":
    main()
