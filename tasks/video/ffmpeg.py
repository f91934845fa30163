"""Finds ffmpeg, and runs it as a child under limits; its log becomes a reason for a person."""

import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from tasks.errors import BadConfiguration, BadVideo, OutOfMemory, Unavailable
from tasks.video.child import child_environment, run_child
from tasks.video.memory import Memory

MAX_ALLOC_BYTES = 1 << 29
NUM_LINES_KEPT = 20

CARRIED = Path(imageio_ffmpeg.__file__).with_name("binaries")
"""Where a wheel of imageio-ffmpeg has the one binary for its platform."""

VERSION = re.compile(r"ffmpeg version (\S+)")

VERSION_SECONDS = 60

STATISTICS = re.compile(r"Input stream #0:(\d+) \(\w+\): (\d+) packets read .*?(\d+) frames decoded(?:; (\d+) decode errors)?")

NO_MEMORY = re.compile(r"Cannot allocate|max_alloc|malloc|Resource temporarily unavailable", re.I)

REASONS = (
    (re.compile(r"Invalid data found|Error splitting|moov atom not found|partial file", re.I), "its data is damaged"),
    (re.compile(r"Decoder not found|Unknown decoder|no decoder", re.I), "this ffmpeg has no decoder for its codec"),
    (NO_MEMORY, "it needs more memory than one video may take"),
    (re.compile(r"Picture size .* is invalid|max_pixels|Invalid pixel", re.I), "its pictures are too large"),
    (re.compile(r"not in whitelist|not on whitelist|not allowed", re.I), "it refers to other files, which is not allowed"),
    (re.compile(r"Output file .* does not contain any stream|received no packets", re.I), "nothing of it decodes"),
)


@dataclass(frozen=True)
class Log:
    """Holds ffmpeg's last errors, and each input stream's packets read and not decoded.

    `lacked_memory` tells whether it found no memory for something, be it for a single frame.
    """

    errors: tuple[str, ...]
    num_corrupt_frames: int
    num_packets: dict[int, int]
    num_decode_errors: dict[int, int]
    lacked_memory: bool

    @property
    def has_losses(self) -> bool:
        """Whether anything of a stream that was used is missing or damaged."""
        return self.lacked_memory or self.num_corrupt_frames > 0 or any(self.num_decode_errors.values())


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
            env=child_environment(),
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


def run_ffmpeg(arguments: Sequence[str], *, ffmpeg: Path, folder: Path, time_limit_seconds: float, memory: Memory, name: str) -> Log:
    """Run ffmpeg in `folder` and wait for its end. `name` is what an error calls the video.

    Raises:
        BadVideo: ffmpeg failed or took longer than `time_limit_seconds`.
        OutOfMemory: it ran out of memory or crashed; where memory is scarce, whatever else is wrong.
        Unavailable: the disk is full.
    """
    options = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose", "-max_alloc", str(MAX_ALLOC_BYTES))
    status, log = run_child(
        [str(ffmpeg), *options, *arguments],
        folder=folder,
        memory_bytes=memory.size_bytes,
        time_limit_seconds=time_limit_seconds,
        read=read_log,
        variables={},
    )
    if status is None:
        raise BadVideo(f"{name}: cutting took longer than {time_limit_seconds:g} s and was ended")
    if status != 0 and any("No space left on device" in line for line in log.errors):
        raise Unavailable(f"{name}: the disk under {folder} is full; make room and run this step again")
    if status < 0 or (status != 0 and log.lacked_memory):
        raise OutOfMemory(f"{name}: {reason(status, log.errors)}")
    # Without memory ffmpeg loses single frames, or ends with any reason; most of its messages do not tell that this is why.
    if memory.is_scarce and (status != 0 or log.has_losses):
        raise OutOfMemory(f"{name}: not all of it decodes in a share of the memory")
    if status != 0:
        raise BadVideo(f"{name}: {reason(status, log.errors)}")
    return log


def read_log(lines: Iterable[str]) -> Log:
    """Take from ffmpeg's log what matters; memory does not grow with its length."""
    errors: deque[str] = deque(maxlen=NUM_LINES_KEPT)
    num_corrupt_frames = 0
    num_packets, num_decode_errors = {}, {}
    lacked_memory = False
    for line in lines:
        lacked_memory = lacked_memory or NO_MEMORY.search(line) is not None
        if "[error]" in line or "[fatal]" in line:
            errors.append(re.sub(r"^(\[[^\]]*\] )+", "", line).strip())
        elif "corrupt decoded frame" in line:
            num_corrupt_frames += 1
        elif found := STATISTICS.search(line):
            index = int(found[1])
            num_packets[index] = int(found[2])
            num_decode_errors[index] = int(found[4] or 0)
    return Log(tuple(errors), num_corrupt_frames, num_packets, num_decode_errors, lacked_memory)


def reason(status: int, errors: Sequence[str]) -> str:
    """Say why ffmpeg failed, in words that need no knowledge of ffmpeg, and then ffmpeg's own."""
    own = errors[-1] if errors else f"exit status {status}"
    if status < 0:
        return f"ffmpeg was ended by {signal.Signals(-status).name}; the file may be damaged, or memory too small"
    plain = next((words for pattern, words in REASONS if any(pattern.search(line) for line in errors)), "ffmpeg cannot convert it")
    return f"{plain} (ffmpeg: {own[:200]})"
