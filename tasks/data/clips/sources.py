"""List the files of the inbox, buckets, web pages, recorders, addresses and folders.

A local file is read once, whatever takes its place meanwhile.
"""

import logging
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tasks.data.clips.frigate import is_frigate, recorded_hours
from tasks.data.clips.web_video import PAGE_PREFIX, is_page, listed_videos
from tasks.data.labels.formats import formats
from tasks.data.video.inspection import NO_REGULAR_FILE
from tasks.disk import expanded
from tasks.download import is_url
from tasks.errors import BadConfiguration, BadInput, TooLarge, TooSlow
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.video import WebPage
from tasks.store.stored import names_objects, split_uri
from tasks.wording import without_secrets

log = logging.getLogger("retake")

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")

START_SECONDS = 60
MIN_BYTES_PER_SECOND = 1 << 20
"""Minimum speed of a disk or network share."""

CHUNK_BYTES = 1 << 20

QUIET_SECONDS = 60
"""A recorder writes more often than that into a file that it has not finished."""

FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder above a file. With Linux's `O_PATH` it need not be readable."""


@dataclass(frozen=True)
class IncomingFile:
    """A file to ingest.

    `etag` changes with the content. Objects and local files have one, so that no content is read twice. Local files must be inside `folder`,
    a path without links. A downloaded video of a page has its `web_page`.
    """

    name: str
    source: str
    etag: str
    size_bytes: int
    folder: Path | None = None
    web_page: WebPage | None = None

    @property
    def is_annotation(self) -> bool:
        """Check whether it may be an annotation file instead of a video."""
        return self.name.lower().endswith(formats().suffixes) and not is_page(self.source)


def incoming_files(sources: Sequence[str], store_uri: str, store: Store, *, only_settled: bool = False) -> Iterator[IncomingFile]:
    """Yield the files of `sources`, or of the inbox if there are none.

    A malformed address is yielded too: it fails alone, later. With `only_settled`, local files that changed within the last minute wait for
    a later ingest.

    Raises:
        BadInput: a file, a folder or a bucket does not exist, or is outside the permitted folder, or Frigate refuses.
        Unavailable: Frigate does not answer.
    """
    if not sources:
        inbox = Layout(store_uri).inbox
        for listed in store.list(inbox.folder_uri):
            yield IncomingFile(inbox.name_of(listed.uri), listed.uri, listed.etag, listed.size_bytes)
    for source in sources:
        if is_page(source):
            yield from (IncomingFile(video.name, PAGE_PREFIX + video.address, "", 0) for video in listed_videos(source))
        elif names_objects(source):
            yield from matching_objects(source, store)
        elif is_frigate(source):
            hours = recorded_hours(source, allow_private=load(MachineSettings).allow_private_addresses)
            # An hour is known by camera and time, however its server is spelled.
            yield from (IncomingFile(hour.name, hour.source, hour.name, 0) for hour in hours)
        elif is_url(source):
            yield IncomingFile(_name_in(source), source, "", 0)
        else:
            yield from _local_files(source, only_settled=only_settled)


def _name_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return without_secrets(url)
    # Keep control characters percent-encoded: records, tables and the store cannot hold them.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or without_secrets(url)


def matching_objects(source: str, store: Store) -> Iterator[IncomingFile]:
    """Yield the objects that match a pattern, such as `s3+nas://videos/cam*/2026-*/**.mp4`.

    A name is the path behind the last folder before the first `*`. Only keys that begin like the pattern are listed, and they are not held
    in memory. Folders and files whose names begin with a dot are skipped, as on a disk.

    Raises:
        BadInput: the bucket does not exist, or its name is a pattern.
        BadConfiguration: the connection is not known, or its keys are refused.
        Unavailable: the server does not answer.
    """
    bucket, pattern = split_uri(source)
    if "*" in bucket:
        raise BadInput(f"{source}: the name of a bucket has no `*`; name each bucket as a source of its own")
    if not pattern or pattern.endswith("/"):
        pattern += "**"
    prefix, _, _ = source.partition("*")
    folder, _, _ = split_uri(prefix)[1].rpartition("/")
    matches = _expression(pattern).fullmatch
    num_listed = 0
    for listed in store.list(prefix):
        num_listed += 1
        _, key = split_uri(listed.uri)
        name = key[len(folder) :].removeprefix("/")
        if matches(key) and not key.endswith("/") and not name.startswith(".") and "/." not in name:
            yield IncomingFile(name, listed.uri, listed.etag, listed.size_bytes)
    if not num_listed and not store.has_bucket(source):
        raise BadInput(f"{source}: there is no such bucket; correct its name, or its connection")


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern into a regular expression."""
    meanings = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
    return re.compile("".join(meanings.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*)", pattern)), re.DOTALL)


def _local_files(source: str, *, only_settled: bool) -> Iterator[IncomingFile]:
    """Yield a file, or the files of a folder."""
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
                yield IncomingFile(name, str(file), _version(status), status.st_size if status else 0, real_root)


def _local_path(source: str) -> tuple[Path, Path, Path]:
    """Find a file or folder, the root of its names, and the root without links."""
    only = load(MachineSettings).videos_dir
    try:
        path = expanded(source)
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        root = path if path.is_dir() else path.parent
        real_root = root.resolve()
        if only and not real_root.is_relative_to(only.resolve()):
            raise BadInput(f"{source} is not in {only}, the only folder to take files from; put it there, or into inbox/ of the store")
    except (OSError, RuntimeError, BadConfiguration) as error:
        raise BadInput(f"{source!r} cannot be accessed ({error}); name a folder or a file") from error
    return path, root, real_root


def _may_be_file(path: Path) -> bool:
    """Check whether to try a path as a file."""
    # Pipes, devices and links to folders are tried too, so that they are reported with a reason.
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
    """Name the state of a file, as an etag does."""
    # Every write changes the size or one of the times.
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}" if status else ""


def read_chunks(path: Path, *, max_bytes: int, too_large: str, folder: Path | None = None) -> Iterator[bytes]:
    """Yield the content of a file, inside `folder` if that is given, in chunks.

    It is opened once, without blocking, in case a pipe without a writer has replaced the file.

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
    """Open a file by a path without links; follow no link that replaces a part."""
    with ExitStack() as above:
        at = None
        for part in (real.anchor, *real.parts[1:-1]):
            at = os.open(part, FOLDER, dir_fd=at)
            above.callback(os.close, at)
        return os.open(real.name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW, dir_fd=at)


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(NO_REGULAR_FILE)
