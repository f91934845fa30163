"""Join a video's clips into one film with captions below and with their sound, playable in any browser.

Shapes: h and w pixels, 3 channels RGB, uint8; n samples of sound, float32.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.error
import matplotlib as mpl
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.data.video.audio import decode_audio
from tasks.data.video.inspection import open_video
from tasks.errors import BadVideo, Unavailable

FONT_PIXELS = 15
LINE_PIXELS = 22
MARGIN_PIXELS = 6
PAPER, INK = (18, 23, 28), (230, 235, 239)
OPTIONS = {"preset": "veryfast", "crf": "23", "threads": "2", "x264-params": "mbtree=0"}
"""Encoder options; the macroblock tree is off. With AVX-512 it occasionally gives different bytes for the same pictures."""

SOUND_RATE_HZ = 48_000
SOUND_BITS_PER_SECOND = 64_000


@dataclass(frozen=True)
class Captioned:
    """A clip and the lines of its caption."""

    path: Path
    lines: tuple[str, ...]


def write_film(clips: Iterable[Captioned], path: Path, *, fps: int) -> None:
    """Write an H.264 film of the clips in order to `path`.

    It has their sound if the first has a track; clips without one are silent. All clips must have the same size and number of lines. Captions
    are drawn as pixels, so no program interprets their text.

    Raises:
        BadVideo: a clip does not decode, or there are no clips.
        Unavailable: the disk is full.
    """
    try:
        _write(clips, path, fps)
    except av.error.OSError as error:
        raise Unavailable(f"{path.parent}: {error.strerror}; make room and retry") from error


def _write(clips: Iterable[Captioned], path: Path, fps: int) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as film:
        stream: VideoStream | None = None
        track: AudioStream | None = None
        number = num_samples = 0
        for clip in clips:
            with open_video(clip.path) as container:
                source = container.streams.video[0]
                strip = caption(clip.lines, source.width)
                if stream is None:
                    stream = _stream(film, source.width, source.height + strip.shape[0], fps)
                    track = film.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono") if container.streams.audio else None
                    if track:
                        track.bit_rate = SOUND_BITS_PER_SECOND
                for picture in _pictures(container, clip.path.name):
                    _encode(film, stream, np.concatenate([picture, strip]), number)
                    number += 1
            if track:
                wanted = round(number * SOUND_RATE_HZ / fps) - num_samples
                _encode_sound(film, track, decode_audio(clip.path, (SOUND_RATE_HZ,)).samples[SOUND_RATE_HZ], wanted, num_samples)
                num_samples += wanted
        if stream is None:
            raise BadVideo(f"{path.name}: there are no clips to show")
        film.mux(stream.encode(None))
        if track:
            film.mux(track.encode(None))


def caption(lines: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Draw lines of text as (h, w, 3) with an even h. Each is truncated to the width."""
    height = (len(lines) * LINE_PIXELS + MARGIN_PIXELS + 1) // 2 * 2
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((MARGIN_PIXELS, MARGIN_PIXELS // 2 + number * LINE_PIXELS), _truncate(line, width - 2 * MARGIN_PIXELS), INK, _font())
    return np.asarray(picture, np.uint8)


@cache
def _font() -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans from matplotlib; it covers most alphabets."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", FONT_PIXELS)


def _truncate(line: str, width: int) -> str:
    text = " ".join(line.split())
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _pictures(container: InputContainer, name: str) -> Iterator[NDArray[np.uint8]]:
    try:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except av.error.FFmpegError as error:
        raise BadVideo(f"{name}: does not decode ({error.strerror})") from error


def _stream(film: OutputContainer, width: int, height: int, fps: int) -> VideoStream:
    stream = film.add_stream("libx264", rate=fps, options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, fps)
    return stream


def _encode(film: OutputContainer, stream: VideoStream, picture: NDArray[np.uint8], number: int) -> None:
    if picture.shape[:2] != (stream.height, stream.width):
        raise BadVideo(f"a clip has {picture.shape[1]}x{picture.shape[0]} pixels, the film {stream.width}x{stream.height}")
    frame = VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts = number
    film.mux(stream.encode(frame))


def _encode_sound(film: OutputContainer, track: AudioStream, samples: NDArray[np.float32], num_wanted: int, first: int) -> None:
    """Encode exactly `num_wanted` samples from those of a clip, so that sound and picture stay in step over many clips."""
    fitted = np.pad(samples[:num_wanted], (0, max(0, num_wanted - len(samples))))
    frame = AudioFrame.from_ndarray(fitted[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, first, Fraction(1, SOUND_RATE_HZ)
    film.mux(track.encode(frame))
