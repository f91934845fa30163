"""Reads a file of this machine that people named: a regular one, no larger than allowed, and not for ever."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from tasks.errors import BadInput
from tasks.video.source import NO_REGULAR_FILE

START_SECONDS = 60

MIN_BYTES_A_SECOND = 1 << 20
"""The slowest disk or share that is waited for."""

CHUNK_BYTES = 1 << 20


def read_chunks(path: Path, *, max_bytes: int, too_large: str) -> Iterator[bytes]:
    """Yield the content of a file piece by piece.

    It is opened in a way that waits for nobody, such as for the writer of a pipe that took the file's place.

    Raises:
        BadInput: it is no regular file, larger than `max_bytes`, which `too_large` tells, or slower than a file of that size may be.
        OSError: it cannot be read.
    """
    _require_regular(path.stat())
    limit_seconds = START_SECONDS + max_bytes / MIN_BYTES_A_SECOND
    stop, num_bytes = time.monotonic() + limit_seconds, 0
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb", buffering=0) as file:  # noqa: PTH123 - the descriptor of a path
        _require_regular(os.fstat(file.fileno()))
        while chunk := file.read(CHUNK_BYTES):
            num_bytes += len(chunk)
            if num_bytes > max_bytes:
                raise BadInput(too_large)
            if time.monotonic() > stop:
                raise BadInput(f"reading it takes longer than {limit_seconds:.0f} s; copy it to a faster disk first")
            yield chunk


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(NO_REGULAR_FILE)
