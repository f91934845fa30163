"""Takes single files: where they come from, how they are fetched, and what becomes of one that cannot be used."""

import hashlib
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import unquote, urlsplit

from tasks.disk import FULL
from tasks.download import download, is_url
from tasks.errors import BadInput, Unavailable
from tasks.options import IngestOptions
from tasks.results.video import SeenFile, VideoRecord
from tasks.settings import MachineSettings, load
from tasks.steps._local_file import read_chunks
from tasks.steps._step import StepArguments, log, plain_reason
from tasks.storage import Store, to_json
from tasks.video.memory import MemoryShares, usable_bytes
from tasks.video.probe import probe

MAX_ANNOTATION_BYTES = 64 << 20
NUM_THREADS = 4
"""How many files are taken at once."""

SUFFIXES = {"matroska": ".mkv", "webm": ".webm", "mov": ".mp4", "avi": ".avi", "mpegts": ".ts", "flv": ".flv"}
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class TakingArguments(StepArguments, IngestOptions):
    """Where files are taken from, and where to."""


@dataclass(frozen=True)
class Offer:
    """A file on offer.

    `etag` is known for files of the inbox, whose content need not be hashed twice; `folder` for local files, which must lie in it.
    """

    name: str
    source: str
    etag: str
    size_bytes: int
    folder: Path | None = None

    @property
    def is_annotation(self) -> bool:
        """Whether it holds labels rather than a video."""
        return self.name.lower().endswith(".csv")


def inventory_uri(out: str) -> str:
    """Where an ingest that writes under `out` leaves the list of all files that it looked at."""
    return f"{out.rstrip('/')}/inventory.json"


def offers(arguments: TakingArguments, store: Store) -> Iterator[Offer]:
    """Every file of the inbox, or of the sources where there are any. A malformed address is an offer too, so that it costs itself alone.

    Raises:
        BadInput: a file or folder that does not exist, or lies where nothing may be taken from.
    """
    if not arguments.sources:
        prefix = f"{arguments.store}/inbox/"
        for found in store.list(prefix):
            yield Offer(found.uri.removeprefix(prefix), found.uri, found.etag, found.size_bytes)
    for source in arguments.sources:
        if is_url(source):
            yield Offer(_name_in(source), source, "", 0)
        else:
            yield from _local_offers(source)


def _name_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return url
    # A control character stays as the address spells it: records, tables and the store have no other way to.
    plain = path if CONTROL_CHARACTERS.search(unquote(path)) else unquote(path)
    return PurePosixPath(plain).name or url


def _local_offers(source: str) -> Iterator[Offer]:
    path = _local_path(source)
    root = path if path.is_dir() else path.parent
    for file in sorted(filter(_may_be_file, path.rglob("*"))) if path.is_dir() else [path]:
        relative = file.relative_to(root)
        if not any(part.startswith(".") for part in relative.parts):
            name = os.fsencode(relative.as_posix()).decode(errors="replace")
            yield Offer(name, str(file), "", _size_bytes(file), root)


def _local_path(source: str) -> Path:
    only = load(MachineSettings).videos_dir
    try:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        if only and not _lies_in(path, only):
            raise BadInput(f"{source} is not in {only}, and files are taken from there alone; put it there, or into inbox/ of the store")
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{source!r} cannot be looked at ({error}); name a folder or a file") from error
    return path


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether it does once every link is followed."""
    return path.resolve().is_relative_to(folder.resolve())


def _may_be_file(path: Path) -> bool:
    """Whether to try it, which tells why a pipe, a device or a link to a folder is not taken."""
    try:
        return path.is_symlink() or not path.is_dir()
    except OSError:
        return True


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Taker:
    """Takes single files in, from several threads: a lock per content keeps two names of one video from racing.

    Names label videos, by their folders and in annotation files. Where `labels` is false, what is taken must not change any label: a known
    video keeps its names, and a new one gets one that no folder and no annotation file has.
    """

    def __init__(self, arguments: TakingArguments, store: Store, allow_private: bool, *, labels: bool = True) -> None:
        self._arguments = arguments
        self._store = store
        self._allow_private = allow_private
        self._labels = labels
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._shares = MemoryShares(NUM_THREADS, usable_bytes())

    def take_video(self, offer: Offer) -> SeenFile:
        """Take a video in; one that cannot be used is set aside with its reason.

        Raises:
            Unavailable: the store does not answer, or this machine's disk is full.
        """
        mib = self._arguments.max_video_mib
        too_large = f"larger than {mib} MiB; raise max_video_mib to take it"

        def keep(offer: Offer, path: Path) -> str:
            content = hashlib.sha256()
            for chunk in read_chunks(path, max_bytes=mib << 20, too_large=too_large):
                content.update(chunk)
            return self._keep_video(offer, path, content.hexdigest())

        return self._take(offer, mib << 20, too_large, keep)

    def take_annotation(self, offer: Offer, keep: Callable[[bytes], None]) -> SeenFile:
        """Give `keep` the content of an annotation file; one that cannot be read is set aside with its reason.

        Raises:
            Unavailable: the store does not answer, or this machine's disk is full.
        """

        too_large = f"an annotation file of more than {MAX_ANNOTATION_BYTES >> 20} MiB; split it into several"

        def read(_: Offer, path: Path) -> None:
            keep(b"".join(read_chunks(path, max_bytes=MAX_ANNOTATION_BYTES, too_large=too_large)))

        return self._take(offer, MAX_ANNOTATION_BYTES, too_large, read)

    def _take(self, offer: Offer, max_bytes: int, too_large: str, use: Callable[[Offer, Path], str | None]) -> SeenFile:
        try:
            if offer.size_bytes > max_bytes:
                raise BadInput(too_large)
            with self._fetched(offer, max_bytes) as path:
                size_bytes = path.stat().st_size
                if size_bytes > max_bytes:
                    raise BadInput(too_large)
                video = use(offer, path)
        except (BadInput, OSError) as error:
            reason = _reason_to_set_aside(offer, error)
            return SeenFile(name=offer.name, etag=offer.etag, size_bytes=offer.size_bytes, video=None, reason=reason)
        return SeenFile(name=offer.name, etag=offer.etag, size_bytes=size_bytes, video=video, reason=None)

    @contextmanager
    def _fetched(self, offer: Offer, max_bytes: int) -> Iterator[Path]:
        if not is_url(offer.source):
            path = Path(offer.source)
            if offer.folder and not _lies_in(path, offer.folder):
                raise BadInput(f"a link that leads out of {offer.folder}; put there what it leads to")
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="retake-ingest-") as folder:
            path = Path(folder) / "source"
            if offer.source.startswith("s3://"):
                self._read_object(offer.source, path)
            else:
                self._download(offer.source, path, max_bytes)
            yield path

    def _download(self, url: str, path: Path, max_bytes: int) -> None:
        try:
            download(url, path, max_bytes=max_bytes, allow_private=self._allow_private)
        except Unavailable as error:
            raise BadInput(str(error)) from error  # It was asked three times, and the other files do not depend on that server.

    def _read_object(self, uri: str, path: Path) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not (bucket and key):
            raise BadInput(f"{uri!r} names no object; write s3://bucket/key")
        self._store.read_file(uri, path)

    def _keep_video(self, offer: Offer, path: Path, video: str) -> str:
        with self._locks[video]:
            self._record(offer.name if self._labels else _name_without_label(offer.name, video), video, path)
        return video

    def _record(self, name: str, video: str, path: Path) -> None:
        folder = f"{self._arguments.store}/videos/{video}"
        uri = f"{folder}/probe.json"
        if self._store.exists(uri):
            if not self._labels:
                return
            record = self._store.read(uri, VideoRecord)
            names = tuple(sorted({*record.names, name}))
            if names != record.names:
                self._store.write(uri, record.model_copy(update={"names": names}))
            return
        max_seconds = self._arguments.max_video_minutes * 60
        found = self._shares.run(lambda memory: probe(path, max_seconds=max_seconds, memory=memory))
        source = f"{folder}/source{SUFFIXES.get(found.container.split(',')[0], '.video')}"
        self._store.write_file(source, path)
        record = VideoRecord(
            video=video,
            uri=source,
            size_bytes=path.stat().st_size,
            names=(name,),
            has_audio=found.has_audio,
            **asdict(found),
        )
        if self._labels:
            self._store.write(uri, record)
        elif not self._store.create(uri, to_json(record)):
            # An ingest took the same video meanwhile, whose name may label it.
            return
        log.info("new video: %s (%.1f s, %dx%d)", name, found.duration_seconds, found.width, found.height)


def _name_without_label(name: str, video: str) -> str:
    """`take/bag/a.mp4` as `a-0123456789ab.mp4`: an annotation that says `a.mp4`, `a` or `bag/a.mp4` means another video."""
    # Labels take a backslash for a folder's end, too.
    path = PurePosixPath(name.replace("\\", "/"))
    return f"{path.stem}-{video[:12]}{path.suffix}"


def _reason_to_set_aside(offer: Offer, error: BadInput | OSError) -> str:
    """Why this file alone is not taken; raises what would befall every other file just as well."""
    if isinstance(error, BadInput):
        return plain_reason(error, offer.name if is_url(offer.source) else offer.source)
    reason = error.strerror or str(error)
    if error.errno in FULL or is_url(offer.source):
        raise Unavailable(
            f"{offer.name}: cannot be kept in this machine's temporary folder ({reason}); make room there, or set TMPDIR"
        ) from error
    return f"the file cannot be read ({reason})"
