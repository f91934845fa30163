"""Ingest videos and annotation files into the store; set unusable ones aside with the reason."""

import hashlib
import logging
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock

from tasks.data.clips.frigate import fetch_footage, is_frigate
from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES, annotation_objects, video_records
from tasks.data.clips.sources import IncomingFile, read_chunks
from tasks.data.clips.web_video import PAGE_PREFIX, download_video, is_page
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats import formats
from tasks.data.labels.reading import layout_of
from tasks.data.labels.video_names import name_without_label
from tasks.data.video.child import MemoryShares, usable_bytes
from tasks.data.video.probe import probe
from tasks.disk import FULL, check_room
from tasks.download import download, is_url
from tasks.errors import BadConfiguration, BadInput, BadLabels, TooLarge, TooSlow, Unavailable
from tasks.keys import file_sha256
from tasks.options import IngestOptions
from tasks.settings import SourceSettings, load
from tasks.store.layout import Layout, Video
from tasks.store.objects import Store
from tasks.store.records.video import SeenFile, VideoRecord
from tasks.store.stored import Folder, check_key, connection_of, has_key
from tasks.wording import plain_reason

log = logging.getLogger("retake")

NUM_THREADS = 4
"""Number of files ingested in parallel."""

VIDEO_SUFFIXES = {"matroska": ".mkv", "webm": ".webm", "mov": ".mp4", "avi": ".avi", "mpegts": ".ts", "flv": ".flv"}

TICK_SECONDS = 1.1
"""Minimum gap between uploads. The store's times are whole seconds, and files of the same second are ordered by name."""

NO_LABELS = "no annotation file: "
_KEPT = re.compile(r"(.*)-[0-9a-f]{8}(\.[a-z0-9]+)", re.DOTALL)


class Intake:
    """Ingest single files from several threads.

    A lock per content hash keeps two names of one video from racing. Names label videos, through folders and annotation files. Unless
    `names_label`, ingesting must not change any label: a known video keeps its names, and a new one gets a name that no folder and no
    annotation file matches. The video of a page is taken once, whatever the page serves later. `Unavailable` is raised if the store does not
    answer, or this machine's disk is full; another server that fails costs its own files.
    """

    def __init__(self, store: Store, store_uri: str, options: IngestOptions, allow_private: bool, *, names_label: bool = True) -> None:
        self._store_uri = store_uri
        self._options = options
        self._store = store
        self._allow_private = allow_private
        self._names_label = names_label
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
        """Map the pages of ingested videos to them."""
        # Sites encode anew: a second download could be another video, in another split.
        records = video_records(self._store, self._store_uri)
        return {PAGE_PREFIX + record.web_page.address: record.video for record in records if record.web_page}

    def take_annotation(self, incoming: IncomingFile, keep: Callable[[bytes], None]) -> SeenFile:
        """Pass the content of an annotation file to `keep`; set an unreadable file aside."""
        too_large = f"an annotation file of more than {MAX_ANNOTATION_BYTES >> 20} MiB; split it into several"
        return self._take(incoming, MAX_ANNOTATION_BYTES, too_large, lambda _, path: keep(path.read_bytes()))

    def _take(self, incoming: IncomingFile, max_bytes: int, too_large: str, use: Callable[[IncomingFile, Path], str | None]) -> SeenFile:
        is_fetched = False
        try:
            if incoming.size_bytes > max_bytes:
                raise TooLarge(too_large)
            with tempfile.TemporaryDirectory(prefix="retake-ingest-") as folder:
                path = Path(folder) / "source"
                incoming = self._fetch(incoming, path, max_bytes, too_large)
                is_fetched = True
                size_bytes = path.stat().st_size
                if size_bytes > max_bytes:
                    raise TooLarge(too_large)
                video = use(incoming, path)
        except (BadInput, OSError) as error:
            reason = _reason_to_set_aside(incoming, error)
            # A file that is set aside stays so, but a disk may be readable next time, and another server may be busy or away.
            is_final = isinstance(error, TooLarge | TooSlow) or (is_fetched and isinstance(error, BadInput))
            etag = incoming.etag if is_final else ""
            return SeenFile(name=incoming.name, etag=etag, size_bytes=incoming.size_bytes, video=None, reason=reason)
        return SeenFile(name=incoming.name, etag=incoming.etag, size_bytes=size_bytes, video=video, reason=None)

    def _fetch(self, incoming: IncomingFile, path: Path, max_bytes: int, too_large: str) -> IncomingFile:
        """Make a copy that nobody else changes; return the file, perhaps with its page."""
        source = incoming.source
        if is_page(source):
            return replace(incoming, web_page=download_video(source.removeprefix(PAGE_PREFIX), path, self._options))
        is_own = source.startswith("s3://")
        is_object = is_own or connection_of(source) is not None
        if is_object and not has_key(source):
            raise BadInput(f"{source!r} is not the address of an object; write s3://bucket/key")
        try:
            if is_object:
                self._store.read_file(source, path)
            elif is_url(source):
                fetch = fetch_footage if is_frigate(source) else download
                fetch(source, path, max_bytes=max_bytes, allow_private=self._allow_private)
            else:
                check_room(path, incoming.size_bytes)
                with path.open("wb") as file:
                    file.writelines(read_chunks(Path(source), max_bytes=max_bytes, too_large=too_large, folder=incoming.folder))
        except (BadConfiguration, Unavailable) as error:
            if is_own:
                raise
            # Set aside instead of retried: a download was tried three times, and other files do not need that server.
            raise BadInput(str(error)) from error
        return incoming

    def _keep_video(self, incoming: IncomingFile, path: Path) -> str:
        video = file_sha256(path)
        forgotten = Layout(self._store_uri).forgotten.tombstone(video)
        if self._store.exists(forgotten.uri):
            raise BadInput(f"this video was forgotten (receipt {self._store.read(forgotten).number}) and is never taken in again")
        with self._locks[video]:
            self._record(incoming, video, path)
        return video

    def _keep_video_of_page(self, incoming: IncomingFile, path: Path) -> str:
        # The address that the site gives to the video may differ from the one asked for.
        address = incoming.source if incoming.web_page is None else PAGE_PREFIX + incoming.web_page.address
        known = self._video_of_page.get(address)
        if known is None:
            known = self._video_of_page[address] = self._keep_video(incoming, path)
        with self._locks[known]:
            return self._add(incoming, known).video

    def _add(self, incoming: IncomingFile, video: str, path: Path | None = None) -> VideoRecord:
        """Add name, page and place of a file to the record of a known video."""
        place = Layout(self._store_uri).video(video)
        record = self._store.read(place.probe)
        names = tuple(sorted({*record.names, incoming.name})) if self._names_label else record.names
        uri = record.uri
        # An object that was left in place may have been moved since, and a copy deleted.
        if path and (connection_of(uri) or not self._store.exists(uri)):
            uri = self._kept_at(incoming, place, record.container, path)
        more = record.model_copy(update={"names": names, "uri": uri, "web_page": record.web_page or incoming.web_page})
        if more != record:
            self._store.write(place.probe, more)
        return more

    def _record(self, incoming: IncomingFile, video: str, path: Path) -> None:
        place = Layout(self._store_uri).video(video)
        if self._store.exists(place.probe.uri):
            self._add(incoming, video, path)
            return
        name = incoming.name if self._names_label else name_without_label(incoming.name, video)
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
        if self._names_label:
            self._store.write(place.probe, record)
        elif not self._store.create(place.probe, record):
            # An ingest has recorded the same video meanwhile, under a name that may label it.
            return
        log.info("new video: %s (%.1f s, %dx%d)", name, probed.duration_seconds, probed.width, probed.height)

    def _kept_at(self, incoming: IncomingFile, place: Video, container: str, path: Path) -> str:
        """Copy a video into the store, unless it stays in place; return its address."""
        connection = connection_of(incoming.source)
        if connection and load(SourceSettings).s3_connections[connection].in_place:
            return incoming.source
        source = place.source(VIDEO_SUFFIXES.get(container.split(",")[0], ".video"))
        self._store.write_file(source, path)
        return source


def _reason_to_set_aside(incoming: IncomingFile, error: BadInput | OSError) -> str:
    """Explain why this file is set aside; raise an error that affects all files."""
    if isinstance(error, BadInput):
        return plain_reason(error, incoming.name)
    reason = error.strerror or str(error)
    if error.errno in FULL or is_url(incoming.source):
        raise Unavailable(
            f"{incoming.name}: cannot be kept in this machine's temporary folder ({reason}); make room there, or set TMPDIR"
        ) from error
    return f"the file cannot be read ({reason})"


def keep_annotations(
    store: Store, store_uri: str, intake: Intake, files: Sequence[IncomingFile], known: Mapping[tuple[str, str], SeenFile]
) -> list[SeenFile]:
    """Store annotation files, named by their content; set others of such suffixes aside.

    Later files override earlier ones. A CSV file is kept whatever it holds: the step `label` lists its faults. A file that is already stored
    is written again if a later file of the same name would override it, unless it is unchanged in the inbox.
    """
    folder = Layout(store_uri).annotations
    kept = [folder.name_of(listed.uri) for listed in annotation_objects(store, store_uri)]
    wanted: dict[str, bytes] = {}
    seen = []
    for incoming in files:
        earlier = known.get((incoming.name, incoming.etag))
        if earlier and earlier.reason and (_is_csv(incoming) or earlier.reason.startswith(NO_LABELS)):
            seen.append(earlier)
            continue
        named: dict[str, bytes] = {}

        def keep(content: bytes, incoming: IncomingFile = incoming, named: dict[str, bytes] = named) -> None:
            try:
                if not _is_csv(incoming):
                    layout_of(AnnotationFile(PurePosixPath(incoming.name).name, content))
            except BadLabels as error:
                raise BadInput(f"{NO_LABELS}it {error}") from None
            name = kept_name(incoming.name, content)
            check_key(folder.file(name))
            named[name] = content

        seen.append(intake.take_annotation(incoming, keep).model_copy(update={"kept_as": "".join(named)}))
        for name, content in named.items():
            if not (earlier and name in kept):
                wanted.pop(name, None)
                wanted[name] = content
    _write_annotations(store, folder, kept, wanted)
    return seen


def write_latest(store: Store, store_uri: str, wanted: Mapping[str, bytes]) -> None:
    """Store annotation files, by `kept_name`, so that they are the latest of their names."""
    folder = Layout(store_uri).annotations
    _write_annotations(store, folder, [folder.name_of(listed.uri) for listed in annotation_objects(store, store_uri)], wanted)


def _write_annotations(store: Store, folder: Folder, kept: Sequence[str], wanted: Mapping[str, bytes]) -> None:
    latest = kept[-1] if kept else ""
    for name in to_write(kept, list(wanted)):
        if name < latest:
            time.sleep(TICK_SECONDS)
        store.write_bytes(folder.file(name), wanted[name])
        latest = name


def kept_name(name: str, content: bytes) -> str:
    """Name an annotation file by its content, such as `labels-0123abcd.csv`."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower() if path.suffix.lower() in formats().suffixes else ".txt"
    return f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"


def _is_csv(incoming: IncomingFile) -> bool:
    return incoming.name.lower().endswith(".csv")


def to_write(kept: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Choose files to upload after `kept`, so that `wanted` are the latest of each stem."""
    kept_by_stem, wanted_by_stem = _by_stem(kept), _by_stem(wanted)
    missing = {name for stem, names in wanted_by_stem.items() for name in _rest(kept_by_stem[stem], names)}
    return [name for name in wanted if name in missing]


def _rest(kept: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    """Drop the longest start of `wanted` that `kept` already ends with."""
    for number in range(min(len(kept), len(wanted)), 0, -1):
        if kept[-number:] == wanted[:number]:
            return wanted[number:]
    return wanted


def _by_stem(names: Iterable[str]) -> defaultdict[str, list[str]]:
    by_stem: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if match := _KEPT.fullmatch(name):
            by_stem[match[1] + match[2]].append(name)
    return by_stem
