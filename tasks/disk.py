"""Keep temporary files in a folder that is removed with its process. Full disks are reported."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import RetakeError, Unavailable
from tasks.wording import size

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
WORK_PREFIX = "retake-work-"


def shortage(folder: Path, need_bytes: int) -> str | None:
    """Describe needed and free space if the disk has too little. None if it has enough."""
    free_bytes = shutil.disk_usage(folder).free
    return f"{size(need_bytes)} are needed and {size(free_bytes)} are free" if need_bytes > free_bytes else None


def check_room(path: Path, need_bytes: int) -> None:
    """Fail before writing a file for which the disk has no room.

    Raises:
        OSError: ENOSPC, with needed and free space.
    """
    if short := shortage(path.parent, need_bytes):
        raise OSError(errno.ENOSPC, short, str(path))


def no_room(path: Path, need_bytes: int) -> OSError:
    """Make the ENOSPC error of a file, with needed and free space."""
    return OSError(errno.ENOSPC, shortage(path.parent, need_bytes) or "the disk filled up", str(path))


def full_disk(error: BaseException | None) -> OSError | None:
    """Find a full-disk error in an exception's chain. torch replaces it with its own error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Put this process's temporary files into one folder that is removed with the process.

    Raises:
        Unavailable: a disk is full, or no temporary folder is writable.
    """
    try:
        root = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise Unavailable(f"{error.strerror}; make room there, or set TMPDIR to a folder of a larger disk") from error
    before = os.environ.get("TMPDIR")
    try:
        with work_folder(Path(root)) as folder:
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
            yield
    except RetakeError:
        raise
    except Exception as error:
        if full := full_disk(error):
            raise _unavailable(full, root) from error
        raise
    finally:
        tempfile.tempdir = root
        if before is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = before


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """Create a folder under `root`, removed at the end, or by the next call if this process is killed."""
    _remove_abandoned(root)
    folder, lock = _locked_folder(root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(root: Path) -> tuple[Path, int]:
    """Create and lock a folder; the kernel releases the lock however this process ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=root))
        with suppress(FileNotFoundError):  # another process removed it as abandoned before it was locked
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            # On a file system without such locks, no process removes folders as abandoned either.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{WORK_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # already removed, or owned by another user
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process is still running
            continue
        finally:
            os.close(lock)


def _unavailable(error: OSError, root: str) -> Unavailable:
    file = Path(error.filename or root)
    place = root if file.is_relative_to(root) else file.parent
    free = "" if "are free" in str(error.strerror) else f", {size(shutil.disk_usage(root).free)} are free"
    return Unavailable(f"{place}: the disk is full ({error.strerror}{free}); make room there, or set TMPDIR to a folder of a larger disk")
