"""Finds ffmpeg, and runs it under limits; its log becomes a reason for a person."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Timer

import imageio_ffmpeg

from tasks.errors import BadConfiguration, BadVideo, Unavailable

MAX_ALLOC_BYTES = 1 << 29
NUM_LINES_KEPT = 20

CARRIED = Path(imageio_ffmpeg.__file__).with_name("binaries")
"""Where a wheel of imageio-ffmpeg has the one binary for its platform."""

GUARD = Path(__file__).with_name("guard.py")

KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")
"""All that ffmpeg sees of the environment; the store's keys are not for a process that parses hostile files."""

VERSION = re.compile(r"ffmpeg version (\S+)")

VERSION_SECONDS = 60

STATISTICS = re.compile(r"Input stream #0:(\d+) \(\w+\): (\d+) packets read .*?(\d+) frames decoded(?:; (\d+) decode errors)?")

REASONS = (
    (re.compile(r"Invalid data found|Error splitting|moov atom not found|partial file", re.I), "its data is damaged"),
    (re.compile(r"Decoder not found|Unknown decoder|no decoder", re.I), "this ffmpeg has no decoder for its codec"),
    (re.compile(r"Cannot allocate memory|Cannot allocate|max_alloc", re.I), "it needs more memory than one video may take"),
    (re.compile(r"Picture size .* is invalid|max_pixels|Invalid pixel", re.I), "its pictures are too large"),
    (re.compile(r"not in whitelist|not on whitelist|not allowed", re.I), "it refers to other files, which is not allowed"),
    (re.compile(r"Output file .* does not contain any stream|received no packets", re.I), "nothing of it decodes"),
)


@dataclass(frozen=True)
class Log:
    """What ffmpeg said that matters: the last errors, and of each input stream the packets read and those that did not decode."""

    errors: tuple[str, ...]
    num_corrupt_frames: int
    num_packets: dict[int, int]
    num_decode_errors: dict[int, int]


def find_ffmpeg(configured: Path | None) -> Path:
    """Give the configured binary, else the one that imageio-ffmpeg carries, else the system's.

    What imageio-ffmpeg carries is pinned with it, so that every machine cuts alike; the system's, which may be any, is for platforms that it
    carries none for. Its own search is not asked: IMAGEIO_FFMPEG_EXE would come before the pinned binary, and the PATH behind it.

    Raises:
        BadConfiguration: the configured binary is not there, or there is none at all.
    """
    if configured is not None:
        found = shutil.which(configured.expanduser())
        if found is None:
            raise BadConfiguration(f"RETAKE_FFMPEG names {configured}, which is no program; correct it or leave it out")
        return Path(found)
    if carried := sorted(CARRIED.glob("ffmpeg-*")):
        return carried[0]
    if system := shutil.which("ffmpeg"):
        return Path(system)
    raise BadConfiguration("there is no ffmpeg; install one, or name it in RETAKE_FFMPEG")


@cache
def ffmpeg_version(ffmpeg: Path) -> str:
    """Ask a binary for its version, such as 7.0.2-static or 7.1.5-0+deb13u1.

    Raises:
        BadConfiguration: it does not start, or is no ffmpeg.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the binary is the configured one
            [ffmpeg, "-version"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BadConfiguration(f"{ffmpeg} does not start: {error}; name another ffmpeg in RETAKE_FFMPEG") from error
    found = VERSION.match(done.stdout)
    if found is None:
        raise BadConfiguration(f"{ffmpeg} does not tell its version as ffmpeg does; name another ffmpeg in RETAKE_FFMPEG")
    return found[1]


def run_ffmpeg(arguments: Sequence[str], *, ffmpeg: Path, folder: Path, time_limit_seconds: float, name: str) -> Log:
    """Run ffmpeg in `folder` and wait for its end. `name` is what an error calls the video.

    Raises:
        BadVideo: ffmpeg failed, crashed or took longer than `time_limit_seconds`.
        Unavailable: the disk is full.
    """
    options = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose", "-max_alloc", str(MAX_ALLOC_BYTES))
    expired = Event()
    with subprocess.Popen(  # noqa: S603 - a list, no shell; the binary is the configured one
        [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(ffmpeg), *options, *arguments],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:

        def expire() -> None:
            expired.set()
            _kill(process)

        timer = Timer(time_limit_seconds, expire)
        timer.start()
        try:
            assert process.stderr is not None  # noqa: S101 - PIPE was asked for
            log = read_log(process.stderr)
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
    if expired.is_set():
        raise BadVideo(f"{name}: cutting took longer than {time_limit_seconds:g} s and was ended")
    if status != 0:
        if any("No space left on device" in line for line in log.errors):
            raise Unavailable(f"{name}: the disk under {folder} is full; make room and run this step again")
        raise BadVideo(f"{name}: {reason(status, log.errors)}")
    return log


def read_log(lines: Iterable[str]) -> Log:
    """Take from ffmpeg's log what matters; memory does not grow with its length."""
    errors: deque[str] = deque(maxlen=NUM_LINES_KEPT)
    num_corrupt_frames = 0
    num_packets, num_decode_errors = {}, {}
    for line in lines:
        if "[error]" in line or "[fatal]" in line:
            errors.append(re.sub(r"^(\[[^\]]*\] )+", "", line).strip())
        elif "corrupt decoded frame" in line:
            num_corrupt_frames += 1
        elif found := STATISTICS.search(line):
            index = int(found[1])
            num_packets[index] = int(found[2])
            num_decode_errors[index] = int(found[4] or 0)
    return Log(tuple(errors), num_corrupt_frames, num_packets, num_decode_errors)


def reason(status: int, errors: Sequence[str]) -> str:
    """Say why ffmpeg failed, in words that need no knowledge of ffmpeg, and then ffmpeg's own."""
    own = errors[-1] if errors else f"exit status {status}"
    if status < 0:
        return f"ffmpeg was ended by {signal.Signals(-status).name}; the file may be damaged, or memory too small"
    plain = next((words for pattern, words in REASONS if any(pattern.search(line) for line in errors)), "ffmpeg cannot convert it")
    return f"{plain} (ffmpeg: {own[:200]})"


def _environment() -> dict[str, str]:
    return {key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ}


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
