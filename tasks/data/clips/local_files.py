"""List the files of a folder of this machine, and read each once, whatever takes its place meanwhile."""

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tasks.data.video.inspection import NO_REGULAR_FILE
from tasks.errors import BadInput, TooLarge, TooSlow
from tasks.settings import MachineSettings, load

log = logging.getLogger("retake")

START_SECONDS = 60
MIN_BYTES_PER_SECOND = 1 << 20
"""Minimum speed of a disk or network share."""

CHUNK_BYTES = 1 << 20

QUIET_SECONDS = 60
"""A recorder writes more often than that into a file that it has not finished."""

FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder above a file. With Linux's `O_PATH` it need not be readable."""


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine; `etag` changes with the content, and `folder`, without links, is the one that it must be inside."""

    name: str
    path: Path
    etag: str
    size_bytes: int
    folder: Path


def local_files(source: str, *, only_settled: bool) -> Iterator[LocalFile]:
    """Yield a file, or the files of a folder; with `only_settled`, those that changed within the last minute wait for a later ingest.

    Raises:
        BadInput: it does not exist, or is outside the permitted folder.
    """
    path, root, real_root = _local_path(source)
    now = time.time()
    for file in [path] if root != path else sorted(filter(_may_be_file, path.rglob("*"))):
        relative = file.relative_to(root)
        if not any(part.startswith(".") for part in relative.parts):
            name = os.fsencode(relative.as_posix()).decode(errors="replace")
            status = _status(file)
            if only_settled and status and abs(now - status.st_mtime) < QUIET_SECONDS:
                log.info("%s changed within the last %d s; a later ingest takes it", name, QUIET_SECONDS)
            else:
                yield LocalFile(name, file, _version(status), status.st_size if status else 0, real_root)


def _local_path(source: str) -> tuple[Path, Path, Path]:
    """Find a file or a folder, and the folder that its names are relative to. The third path is that folder after resolving links."""
    only = load(MachineSettings).videos_dir
    try:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        root = path if path.is_dir() else path.parent
        real_root = root.resolve()
        if only and not real_root.is_relative_to(only.resolve()):
            raise BadInput(f"{source} is not in {only}, the only folder to take files from; put it there, or into inbox/ of the store")
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{source!r} cannot be accessed ({error}); name a folder or a file") from error
    return path, root, real_root


def _may_be_file(path: Path) -> bool:
    """Check whether to try it. Pipes, devices and links to folders are tried too, so that they are reported with a reason."""
    try:
        return path.is_symlink() or not path.is_dir()
    except OSError:
        return True


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _version(status: os.stat_result | None) -> str:
    """Name the state of a file, as an etag does: every write changes one of these."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}" if status else ""


def read_chunks(path: Path, *, max_bytes: int, too_large: str, folder: Path | None = None) -> Iterator[bytes]:
    """Yield the content of a file in chunks.

    It is opened once, without blocking, in case a pipe without a writer has replaced the file; and inside `folder`, if that is given.

    Raises:
        BadInput: it is not a regular file, outside `folder`, larger than `max_bytes` (with the message `too_large`), or too slow for a file of
            that size, or it changed meanwhile.
        OSError: it cannot be read.
    """
    real = Path(os.path.realpath(path))  # of a loop of links, `resolve` raises RuntimeError
    if folder and not real.is_relative_to(folder):
        raise BadInput(f"a link that leads out of {folder}; copy its target there")
    _require_regular(real.stat())
    limit_seconds = START_SECONDS + max_bytes / MIN_BYTES_PER_SECOND
    stop, num_bytes = time.monotonic() + limit_seconds, 0
    with open(_open_itself(real), "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        _require_regular(before)
        while chunk := file.read(CHUNK_BYTES):
            num_bytes += len(chunk)
            if num_bytes > max_bytes:
                raise TooLarge(too_large)
            if time.monotonic() > stop:
                raise TooSlow(f"reading it takes longer than {limit_seconds:.0f} s; copy it to a faster disk first")
            yield chunk
        if _version(os.fstat(file.fileno())) != _version(before):
            raise BadInput("it changed while it was read; a later ingest takes it")


def _open_itself(real: Path) -> int:
    """Open a file by a path without links. No link is followed that takes the place of the file or of a folder above it meanwhile."""
    with ExitStack() as above:
        at = None
        for part in (real.anchor, *real.parts[1:-1]):
            at = os.open(part, FOLDER, dir_fd=at)
            above.callback(os.close, at)
        return os.open(real.name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW, dir_fd=at)


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(NO_REGULAR_FILE)
