"""Decode the sound of a clip to mono, in step with its picture.

Arrays have n samples. Mono is the mean of all channels, as the published audio networks of EPIC-KITCHENS take it. Sample 0 lies at the
first frame of the picture. Where a track begins late, ends early, has a gap or does not decode, there is silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from tasks.data.video.inspection import open_video
from tasks.errors import BadVideo
from tasks.store.records.video import SoundState

MAX_GAP_SECONDS = 0.03
"""Smaller steps between the times of frames are rounding."""

MIN_UNCOVERED_SECONDS = 0.1
"""A shorter gap at the start or the end of a track is not reported. A frame of AAC takes 0.02 s."""

RATES_HZ = range(4_000, 400_000)

MAX_SECONDS = 600
"""Bounds memory; clips are far shorter."""


@dataclass(frozen=True)
class DecodedAudio:
    """The sound of a clip.

    Attributes:
        seconds: length of the clip's picture, which the samples span.
        samples: float32 (n,) from -1 to 1, by rate in Hz.
        num_seconds: decoded part; None without a track.
        reason: the missing part, in plain words; empty if nothing is missing.
    """

    seconds: float
    samples: Mapping[int, NDArray[np.float32]]
    num_seconds: float | None
    reason: str = ""

    @property
    def state(self) -> SoundState:
        """Return whether anything was decoded, or why not; it may still be silence."""
        if self.num_seconds is None:
            return SoundState.NO_TRACK
        return SoundState.HEARD if self.num_seconds else SoundState.UNREADABLE


@dataclass
class _Line:
    """Samples at one rate, which are filled run by run."""

    rate_hz: int
    samples: NDArray[np.float32]
    position: int = 0
    resampler: AudioResampler | None = None

    def start(self, seconds: float) -> None:
        """Begin a run without gaps."""
        self.position = round(seconds * self.rate_hz)
        # Packed samples: PyAV reads beyond the planes of a frame that has eight or more.
        self.resampler = AudioResampler(format="flt", layout=None, rate=self.rate_hz)

    def add(self, frame: AudioFrame | None) -> None:
        """Add a frame, or with None the rest that the resampler holds."""
        assert self.resampler is not None  # noqa: S101 - for mypy; a run was started
        for resampled in self.resampler.resample(frame):
            channels = np.asarray(resampled.to_ndarray(), np.float32).reshape(-1, resampled.layout.nb_channels).T
            mono = channels.mean(axis=0)
            first, last = max(0, self.position), min(len(self.samples), self.position + len(mono))
            if last > first:
                self.samples[first:last] = mono[first - self.position : last - self.position]
            self.position += len(mono)

    def flush(self) -> None:
        """End a run, if there is one."""
        try:
            if self.resampler is not None:
                self.add(None)
        finally:
            self.resampler = None


@dataclass
class _Run:
    """The decoded part of a track, and the errors of the rest."""

    kind: tuple[object, ...] = ()
    stop_seconds: float = 0
    first_seconds: float | None = None
    num_seconds: float = 0
    errors: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the errors of FFmpeg in this block."""
        try:
            yield
        except av.error.FFmpegError as error:
            self.errors.append(error.strerror or type(error).__name__)


def decode_audio(path: Path, rates_hz: Sequence[int]) -> DecodedAudio:
    """Decode the sound of a clip at each of these rates, in this process.

    Raises:
        BadVideo: the file cannot be opened, has no picture, or is too long for a clip.
    """
    with open_video(path) as container:
        start_seconds, seconds = _picture(path, container)
        lines = [_Line(rate, np.zeros(max(1, round(seconds * rate)), np.float32)) for rate in rates_hz]
        samples = {line.rate_hz: line.samples for line in lines}
        if not container.streams.audio:
            return DecodedAudio(seconds, samples, None, "it has no sound track")
        run = _fill(container, container.streams.audio[0], lines, start_seconds, seconds)
    for line in lines:
        np.clip(np.nan_to_num(line.samples, copy=False, posinf=1, neginf=-1), -1, 1, out=line.samples)
    return DecodedAudio(seconds, samples, run.num_seconds, _missing(run, seconds))


def _fill(container: InputContainer, stream: AudioStream, lines: Sequence[_Line], start_seconds: float, seconds: float) -> _Run:
    run = _Run()
    for frame in _frames(container, stream, run):
        rate = frame.sample_rate
        if rate not in RATES_HZ:
            run.errors.append(f"{rate} samples per second")
            break
        at = run.stop_seconds if frame.time is None else float(frame.time) - start_seconds
        if at >= seconds:
            break
        kind = (rate, frame.layout.name, frame.format.name)
        if kind != run.kind or abs(at - run.stop_seconds) > MAX_GAP_SECONDS:
            _end(lines, run)
            for line in lines:
                line.start(at)
            run.kind = kind
        num_errors = len(run.errors)
        with run.noting():
            for line in lines:
                line.add(frame)
        if len(run.errors) > num_errors:
            # A resampler that failed has no rest to flush; the next frame begins a run.
            run.kind = ()
            for line in lines:
                line.resampler = None
            continue
        length = frame.samples / rate
        run.first_seconds = at if run.first_seconds is None else run.first_seconds
        run.num_seconds += max(0.0, min(seconds, at + length) - max(0.0, at))
        run.stop_seconds = at + length
    _end(lines, run)
    return run


def _end(lines: Sequence[_Line], run: _Run) -> None:
    for line in lines:
        with run.noting():
            line.flush()


def _picture(path: Path, container: InputContainer) -> tuple[float, float]:
    """Return when the picture starts and how long it lasts, in seconds."""
    video = next(iter(container.streams.video), None)
    if video is None or video.time_base is None:
        raise BadVideo(f"{path.name}: it has no picture")
    seconds = float(video.duration * video.time_base) if video.duration is not None else (container.duration or 0) / av.time_base
    if not 0 < seconds <= MAX_SECONDS:
        raise BadVideo(f"{path.name}: {seconds:.0f} s long; sound is read from clips of up to {MAX_SECONDS} s")
    return float((video.start_time or 0) * video.time_base), seconds


def _frames(container: InputContainer, stream: AudioStream, run: _Run) -> Iterator[AudioFrame]:
    """Yield the frames that decode, and note why others do not."""
    stream.codec_context.thread_count = 1
    with run.noting():
        for packet in container.demux(stream):
            with run.noting():
                yield from packet.decode()


def _missing(run: _Run, seconds: float) -> str:
    if run.first_seconds is None or not run.num_seconds:
        return f"its sound does not decode ({run.errors[0]})" if run.errors else "its sound track is empty"
    reasons = []
    if run.errors:
        reasons.append(f"packets of its sound that do not decode and are silent: {len(run.errors)} ({run.errors[0]})")
    if run.first_seconds > MIN_UNCOVERED_SECONDS:
        reasons.append(f"its sound begins {run.first_seconds:.1f} s after the picture; before is silence")
    if seconds - run.stop_seconds > MIN_UNCOVERED_SECONDS:
        reasons.append(f"its sound ends {seconds - run.stop_seconds:.1f} s before the picture; behind is silence")
    return "; ".join(reasons)
