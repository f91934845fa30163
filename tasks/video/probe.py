"""Looks into a video file: what it holds, how it is displayed, how long it is. Decodes no more than its first frame."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tasks.errors import BadVideo
from tasks.video.source import AUDIO_FORMATS, MAX_PIXELS, MIN_SIDE_PIXELS, open_video

MAX_PACKETS_BEFORE_A_FRAME = 300

HDR_TRANSFERS = (16, 18)
"""SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG), as numbered in ITU-T H.273."""


@dataclass(frozen=True)
class VideoProbe:
    """What a video file holds. `video_index` and `audio_index` are the numbers of the streams to be used."""

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

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound stream; whether it decodes shows when it is cut."""
        return self.audio_index is not None


def probe(path: Path, *, max_seconds: float) -> VideoProbe:
    """Look into `path`.

    `width` and `height` are those of the picture as displayed: square pixels, rotation applied. `rotation_degrees` is how far a player
    turns the stored picture clockwise. `fps` is the average. `duration_seconds` and `fps` are the header's, or those of the packets in
    the file where the header does not tell.

    Raises:
        BadVideo: it cannot be opened, holds no moving picture, is too large, too small or longer than `max_seconds`, or its start does not decode.
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
        duration_seconds = header_seconds or packets.seconds
        if duration_seconds <= 0:
            raise BadVideo(f"{path.name}: a single picture is not a video")
        if duration_seconds > max_seconds:
            raise BadVideo(f"{path.name}: {duration_seconds / 60:.1f} minutes long, and {max_seconds / 60:.1f} are allowed")
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
        )


def displayed_size(width: int, height: int, pixel_aspect: Fraction | None, rotation_degrees: int) -> tuple[int, int]:
    """Give width and height in square pixels after rotation, for a stored picture with pixels of another shape."""
    square_width = round(width * (pixel_aspect or 1))
    return (height, square_width) if rotation_degrees % 180 == 90 else (square_width, height)


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
        raise BadVideo(f"{path.name}: its video codec is not known")
    if stream.width * stream.height > MAX_PIXELS:
        raise BadVideo(f"{path.name}: {stream.width}x{stream.height} pixels are too many; 8192x4352 are allowed")
    return stream


def _header_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _first_frame(path: Path, container: InputContainer, stream: VideoStream, *, measure: bool) -> tuple[VideoFrame, _Packets]:
    """Decode until a frame comes out; with `measure`, read on to the last packet."""
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.codec_context.thread_count = 1
    frame: VideoFrame | None = None
    packets = _Packets()
    for packet in container.demux(stream):
        packets.add(packet)
        if frame is None:
            frame = _decoded(packet)
        if frame is None and packets.num_packets == MAX_PACKETS_BEFORE_A_FRAME:
            break
        if frame is not None and not measure:
            break
    if frame is None:
        raise BadVideo(f"{path.name}: its picture does not decode, or is larger than 8192x4352 pixels")
    return frame, packets


def _decoded(packet: "av.Packet[VideoStream]") -> VideoFrame | None:
    try:
        frames = packet.decode()
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None
