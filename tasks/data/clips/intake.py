"""Ingest single files into the store, from the inbox or from given folders, files and addresses.

Unusable ones are set aside with the reason.
"""

import hashlib
import logging
import os
import re
import stat
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import unquote, urlsplit

from tasks.data.clips.bucket_files import matching_objects, names_objects
from tasks.data.clips.frigate import fetch_footage, is_frigate, recorded_hours
from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES, video_records
from tasks.data.clips.web_video import PREFIX, download_video, is_page, listed_videos
from tasks.data.labels.formats import formats
from tasks.data.labels.video_names import name_without_label
from tasks.data.video.child import MemoryShares, usable_bytes
from tasks.data.video.inspection import NO_REGULAR_FILE
from tasks.data.video.probe import probe
from tasks.disk import FULL, check_room
from tasks.download import download, is_url
from tasks.errors import BadInput, Unavailable
from tasks.options import IngestOptions
from tasks.settings import MachineSettings, SourceSettings, load
from tasks.store.layout import Layout, Video
from tasks.store.objects import Store
from tasks.store.records.video import SeenFile, VideoRecord, WebPage
from tasks.store.stored import connection_of, names_object
from tasks.wording import plain_reason, without_secrets

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")

log = logging.getLogger("retake")

NUM_THREADS = 4
"""Number of files ingested in parallel."""

START_SECONDS = 60
MIN_BYTES_PER_SECOND = 1 << 20
"""Minimum speed of a disk or network share."""

CHUNK_BYTES = 1 << 20

QUIET_SECONDS = 60
"""A recorder writes more often than that into a file that it has not finished."""

FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder above a file. With Linux's `O_PATH` it need not be readable."""

VIDEO_SUFFIXES = {"matroska": ".mkv", "webm": ".webm", "mov": ".mp4", "avi": ".avi", "mpegts": ".ts", "flv": ".flv"}


@dataclass(frozen=True)
class IncomingFile:
    """A file to ingest.

    `etag` changes with the content. Objects and local files have one, so that no content is read twice; `folder`, without links, is that of
    local files, which must be inside it; `web_page` is there once the video of a page is downloaded.
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
    """Yield the files of `sources`, or of the inbox if there are none. A malformed address is yielded too: it fails alone, later.

    With `only_settled`, local files that changed within the last minute wait for a later ingest.

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
            yield from (IncomingFile(video.name, PREFIX + video.address, "", 0) for video in listed_videos(source))
        elif names_objects(source):
            for name, listed in matching_objects(source, store):
                yield IncomingFile(name, listed.uri, listed.etag, listed.size_bytes)
        elif is_frigate(source):
            hours = recorded_hours(source, allow_private=load(MachineSettings).allow_private_addresses)
            yield from (IncomingFile(hour.name, hour.source, hour.source, 0) for hour in hours)
        elif is_url(source):
            yield IncomingFile(_name_in(source), source, "", 0)
        else:
            yield from _local_files(source, only_settled)


def _name_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return without_secrets(url)
    # Keep control characters percent-encoded: records, tables and the store cannot hold them.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or without_secrets(url)


def _local_files(source: str, only_settled: bool) -> Iterator[IncomingFile]:
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


class Intake:
    """Ingest single files from several threads.

    A lock per content hash keeps two names of one video from racing. Names label videos, through folders and annotation files. If `labels`
    is false, ingesting must not change any label: a known video keeps its names, and a new one gets a name that no folder and no annotation
    file matches. `Unavailable` is raised if the store does not answer, or this machine's disk is full.
    """

    def __init__(self, store: Store, store_uri: str, options: IngestOptions, allow_private: bool, *, labels: bool = True) -> None:
        self._store_uri = store_uri
        self._options = options
        self._store = store
        self._allow_private = allow_private
        self._labels = labels
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._turn_of_page = Lock()
        self._shares = MemoryShares(NUM_THREADS, usable_bytes())

    def take_video(self, incoming: IncomingFile) -> SeenFile:
        """Ingest a video; set it aside with the reason if it is unusable."""
        mib = self._options.max_video_mib
        too_large = f"larger than {mib} MiB; raise max_video_mib to take it"
        if not is_page(incoming.source):
            return self._take(incoming, mib << 20, too_large, self._keep_video)
        with self._turn_of_page:
            video = self._video_of_page.get(incoming.source)
            if video is None:
                return self._take(incoming, mib << 20, too_large, self._keep_video_of_page)
            with self._locks[video]:
                record = self._add(incoming, video)
            return SeenFile(name=incoming.name, etag="", size_bytes=record.size_bytes, video=video, reason=None)

    @cached_property
    def _video_of_page(self) -> dict[str, str]:
        """Map the pages of ingested videos to them.

        Sites encode anew: a second download could be another video, in another split.
        """
        records = video_records(self._store, self._store_uri)
        return {PREFIX + record.web_page.address: record.video for record in records if record.web_page}

    def take_annotation(self, incoming: IncomingFile, keep: Callable[[bytes], None]) -> SeenFile:
        """Pass the content of an annotation file to `keep`; set it aside with the reason if it is unreadable."""

        too_large = f"an annotation file of more than {MAX_ANNOTATION_BYTES >> 20} MiB; split it into several"
        return self._take(incoming, MAX_ANNOTATION_BYTES, too_large, lambda _, path: keep(path.read_bytes()))

    def _take(self, incoming: IncomingFile, max_bytes: int, too_large: str, use: Callable[[IncomingFile, Path], str | None]) -> SeenFile:
        try:
            if incoming.size_bytes > max_bytes:
                raise BadInput(too_large)
            with tempfile.TemporaryDirectory(prefix="retake-ingest-") as folder:
                path = Path(folder) / "source"
                incoming = self._fetch(incoming, path, max_bytes, too_large)
                size_bytes = path.stat().st_size
                if size_bytes > max_bytes:
                    raise BadInput(too_large)
                video = use(incoming, path)
        except (BadInput, OSError) as error:
            reason = _reason_to_set_aside(incoming, error)
            # A file that is set aside stays so, but a disk may be readable next time, and a recorder may be busy or away.
            is_final = isinstance(error, BadInput) and not is_frigate(incoming.source)
            etag = incoming.etag if is_final else ""
            return SeenFile(name=incoming.name, etag=etag, size_bytes=incoming.size_bytes, video=None, reason=reason)
        return SeenFile(name=incoming.name, etag=incoming.etag, size_bytes=size_bytes, video=video, reason=None)

    def _fetch(self, incoming: IncomingFile, path: Path, max_bytes: int, too_large: str) -> IncomingFile:
        """Make a copy that nobody else changes while it is hashed, probed and uploaded; return the file, with its page if it has one."""
        if is_page(incoming.source):
            return replace(incoming, web_page=download_video(incoming.source.removeprefix(PREFIX), path, self._options))
        if incoming.source.startswith("s3://") or connection_of(incoming.source):
            self._read_object(incoming.source, path)
        elif is_url(incoming.source):
            self._download(incoming.source, path, max_bytes)
        else:
            check_room(path, incoming.size_bytes)
            with path.open("wb") as file:
                file.writelines(read_chunks(Path(incoming.source), max_bytes=max_bytes, too_large=too_large, folder=incoming.folder))
        return incoming

    def _download(self, url: str, path: Path, max_bytes: int) -> None:
        try:
            fetch = fetch_footage if is_frigate(url) else download
            fetch(url, path, max_bytes=max_bytes, allow_private=self._allow_private)
        except Unavailable as error:
            # Set aside instead of retried: download has tried three times, and other files do not need that server.
            raise BadInput(str(error)) from error

    def _read_object(self, uri: str, path: Path) -> None:
        if not names_object(uri):
            raise BadInput(f"{uri!r} is not the address of an object; write s3://bucket/key")
        self._store.read_file(uri, path)

    def _keep_video(self, incoming: IncomingFile, path: Path) -> str:
        with path.open("rb") as file:
            video = hashlib.file_digest(file, "sha256").hexdigest()
        with self._locks[video]:
            self._record(incoming, video, path)
        return video

    def _keep_video_of_page(self, incoming: IncomingFile, path: Path) -> str:
        address = incoming.source if incoming.web_page is None else PREFIX + incoming.web_page.address
        known = self._video_of_page.get(address)
        if known is None:
            known = self._video_of_page[address] = self._keep_video(incoming, path)
        with self._locks[known]:
            return self._add(incoming, known).video

    def _add(self, incoming: IncomingFile, video: str, path: Path | None = None) -> VideoRecord:
        """Add a name, a page and a place of the file at `path` to the record of a known video, as far as they are new."""
        place = Layout(self._store_uri).video(video)
        record = self._store.read(place.probe)
        names = tuple(sorted({*record.names, incoming.name})) if self._labels else record.names
        # An object that was left in place may have been moved since.
        uri = self._kept_at(incoming, place, record.container, path) if path and connection_of(record.uri) else record.uri
        more = record.model_copy(update={"names": names, "uri": uri, "web_page": record.web_page or incoming.web_page})
        if more != record:
            self._store.write(place.probe, more)
        return more

    def _record(self, incoming: IncomingFile, video: str, path: Path) -> None:
        place = Layout(self._store_uri).video(video)
        if self._store.exists(place.probe.uri):
            self._add(incoming, video, path)
            return
        name = incoming.name if self._labels else name_without_label(incoming.name, video)
        max_seconds = self._options.max_video_minutes * 60
        probed = self._shares.run(lambda memory: probe(path, max_seconds=max_seconds, memory=memory))
        source = self._kept_at(incoming, place, probed.container, path)
        record = VideoRecord(
            video=video,
            uri=source,
            size_bytes=path.stat().st_size,
            names=(name,),
            has_audio=probed.has_audio,
            web_page=incoming.web_page,
            **asdict(probed),
        )
        if self._labels:
            self._store.write(place.probe, record)
        elif not self._store.create(place.probe, record):
            # An ingest has recorded the same video meanwhile, under a name that may label it.
            return
        log.info("new video: %s (%.1f s, %dx%d)", name, probed.duration_seconds, probed.width, probed.height)

    def _kept_at(self, incoming: IncomingFile, place: Video, container: str, path: Path) -> str:
        """Copy a video into the store, unless its connection leaves it in place; return its address."""
        connection = connection_of(incoming.source)
        if connection and load(SourceSettings).s3_connections[connection].in_place:
            return incoming.source
        source = place.source(VIDEO_SUFFIXES.get(container.split(",")[0], ".video"))
        self._store.write_file(source, path)
        return source


def _reason_to_set_aside(incoming: IncomingFile, error: BadInput | OSError) -> str:
    """Explain why only this file is set aside. Errors that would affect all other files, too, are raised."""
    if isinstance(error, BadInput):
        return plain_reason(error, incoming.name)
    reason = error.strerror or str(error)
    if error.errno in FULL or is_url(incoming.source):
        raise Unavailable(
            f"{incoming.name}: cannot be kept in this machine's temporary folder ({reason}); make room there, or set TMPDIR"
        ) from error
    return f"the file cannot be read ({reason})"


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
                raise BadInput(too_large)
            if time.monotonic() > stop:
                raise BadInput(f"reading it takes longer than {limit_seconds:.0f} s; copy it to a faster disk first")
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
