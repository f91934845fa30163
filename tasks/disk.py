"""Measure disks, report full ones, and remove temporary files with their process."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from tasks.errors import BadConfiguration, RetakeError, Unavailable
from tasks.wording import size

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
WORK_PREFIX = "retake-work-"
MAYBE_IN_USE_SECONDS = 2 * 86_400
"""Kernels record the use of a file once a day, with `noatime` never."""
LEAST_FREE = 0.1
"""Share of a disk or a store below which a training or an ingest may not end."""


@dataclass(frozen=True)
class Space:
    """Use of a disk, or of the store where people set its limit."""

    name: str
    used_bytes: float
    all_bytes: float

    @property
    def free_share(self) -> float:
        """Return the share that is free."""
        return (self.all_bytes - self.used_bytes) / self.all_bytes


def disks(cache_dir: Path) -> list[Space]:
    """Measure the disks of this machine, the fullest first."""
    existing = next(path for path in (cache_dir, *cache_dir.parents) if path.exists())
    # In a container, the root is on the disk of the machine, and the cache may be in memory.
    folders = {folder.stat().st_dev: folder for folder in (Path("/"), existing)}
    usages = [(f"The disk of {folder}", shutil.disk_usage(folder)) for folder in folders.values()]
    return sorted((Space(name, usage.total - usage.free, usage.total) for name, usage in usages), key=lambda space: space.free_share)


def expanded(path: str | Path) -> Path:
    """Replace `~` and `~user` at the beginning of a path.

    Raises:
        BadConfiguration: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadConfiguration(f"{path}: there is no such user; write the whole path") from None


@dataclass(frozen=True)
class CachedFile:
    """A file of a cache."""

    path: Path
    size_bytes: int
    used: float
    """When it was last read or written, in seconds since 1970."""


def cached_files(folders: Iterable[Path]) -> Iterator[CachedFile]:
    """Yield the files below these folders, except those that a process works on."""
    for folder in folders:
        for parent, below, names in os.walk(folder):  # where a folder goes meanwhile, `rglob` fails
            below[:] = [name for name in below if not name.startswith(WORK_PREFIX)]
            for path in (Path(parent, name) for name in names):
                with suppress(FileNotFoundError):
                    stat = path.lstat()
                    if S_ISREG(stat.st_mode):
                        yield CachedFile(path, stat.st_size, max(stat.st_atime, stat.st_mtime))


def unused(files: Iterable[CachedFile], now: float, max_age_seconds: float, max_bytes: float) -> list[CachedFile]:
    """Select files to delete from a cache, by age and until the rest fits.

    The least recently used files go first. Files that may be in use stay, however much they take.
    """
    listed = sorted(files, key=lambda file: (file.used, file.path))
    rest_bytes, going = sum(file.size_bytes for file in listed), []
    for file in listed:
        age_seconds = now - file.used
        if age_seconds > max_age_seconds or (rest_bytes > max_bytes and age_seconds > MAYBE_IN_USE_SECONDS):
            going.append(file)
            rest_bytes -= file.size_bytes
    return going


def shortage(folder: Path, need_bytes: int) -> str | None:
    """Describe needed and free space, or inodes; None if the disk has enough."""
    free_bytes = shutil.disk_usage(folder).free
    if need_bytes > free_bytes:
        return f"{size(need_bytes)} are needed and {size(free_bytes)} are free"
    counted = os.statvfs(folder)
    # A file system that does not limit the number of files reports 0 of 0.
    return "no inodes are free" if need_bytes and counted.f_files and not counted.f_favail else None


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
    """Create a folder under `root` that is removed at the end.

    If this process is killed, the next call removes the folder.
    """
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
