"""Takes videos and annotation files into the store: a video is known by its content, under every name it came by."""

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import unquote, urlsplit

from tasks.download import download, is_url
from tasks.errors import BadInput, MissingObject, NothingToDo, Unavailable
from tasks.options import IngestOptions, SegmentOptions, recipe_of
from tasks.results.dataset import LabelResult
from tasks.results.record import SetAside
from tasks.results.video import Batch, BatchRef, IngestResult, Inventory, SeenFile, VideoRecord
from tasks.settings import MachineSettings, load
from tasks.steps._inputs import inputs_digest, labels_out
from tasks.steps._step import StepArguments, finish, log, plain_reason, result_uri
from tasks.storage import Store
from tasks.video.probe import probe

MAX_BATCHES = 64
MAX_ANNOTATION_BYTES = 64 << 20
NUM_THREADS = 4
SUFFIXES = {"matroska": ".mkv", "webm": ".webm", "mov": ".mp4", "avi": ".avi", "mpegts": ".ts", "flv": ".flv"}


class Arguments(StepArguments, IngestOptions, SegmentOptions):
    """An ingest, and the recipe that its videos are going to be cut by."""


@dataclass(frozen=True)
class Offer:
    """A file on offer. `etag` is known for files of the inbox, whose content need not be hashed twice."""

    name: str
    source: str
    etag: str
    size_bytes: int


def run(arguments: Arguments, store: Store) -> IngestResult:
    """Ingest; a file that cannot be used is set aside with its reason, and the rest goes on.

    Raises:
        BadInput: nothing on offer, or a source that does not exist.
        NothingToDo: the inbox is as it was when labels were last gathered.
    """
    store.ensure_bucket(arguments.store)
    offers = list(_offers(arguments, store))
    tables = [offer for offer in offers if _is_annotation(offer.name)]
    offers = [offer for offer in offers if not _is_annotation(offer.name)]
    annotations = _keep_annotations(arguments, store, tables)
    known = _known(arguments, store)
    taker = _Taker(arguments, store, load(MachineSettings).allow_private_addresses)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        seen = list(pool.map(lambda offer: known.get((offer.name, offer.etag)) or taker.take(offer), offers))
    names = {file.video: file.name for file in reversed(seen) if file.video}
    set_aside = tuple(SetAside(name=f.name, reason=f.reason) for f in seen if f.reason)
    for bad in set_aside:
        log.warning("set aside: %s: %s", bad.name, bad.reason)
    log.info("%d files: %d videos, %d set aside, %d annotation files", len(offers), len(names), len(set_aside), len(annotations))
    if not names and not arguments.sources and not annotations:
        raise NothingToDo(f"the inbox is empty: put videos under {arguments.store}/inbox/, or name sources in the form")
    if not names and arguments.sources and not tables:
        raise BadInput(f"no usable video in {', '.join(arguments.sources)}: {_first_reasons(set_aside)}")
    if not arguments.sources:
        _stop_if_unchanged(arguments, store, list(names))
    store.write(f"{arguments.out}inventory.json", Inventory(files=tuple(seen)))
    result = IngestResult(
        num_videos=len(names),
        num_files=len(offers),
        set_aside=set_aside,
        annotations=tuple(annotations),
        batches=_write_batches(arguments, store, names),
    )
    return finish(store, arguments.out, result)


def _is_annotation(name: str) -> bool:
    return name.lower().endswith(".csv")


def _offers(arguments: Arguments, store: Store) -> Iterator[Offer]:
    if not arguments.sources:
        prefix = f"{arguments.store}/inbox/"
        for found in store.list(prefix):
            yield Offer(found.uri.removeprefix(prefix), found.uri, found.etag, found.size_bytes)
    for source in arguments.sources:
        if is_url(source):
            yield Offer(PurePosixPath(unquote(urlsplit(source).path)).name or source, source, "", 0)
            continue
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"{source} does not exist on the machine that runs this step")
        root = path if path.is_dir() else path.parent
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            relative = file.relative_to(root)
            if not any(part.startswith(".") for part in relative.parts):
                yield Offer(relative.as_posix(), str(file), "", file.stat().st_size)


def _known(arguments: Arguments, store: Store) -> dict[tuple[str, str], SeenFile]:
    try:
        inventory = store.read(f"{arguments.out}inventory.json", Inventory)
    except MissingObject:
        return {}
    return {(file.name, file.etag): file for file in inventory.files if file.etag}


def _keep_annotations(arguments: Arguments, store: Store, offers: list[Offer]) -> list[str]:
    """Keep annotation files from elsewhere under `annotations/`, named by their content so that none is ever rewritten."""
    kept = {found.name for found in store.list(f"{arguments.store}/annotations/")}
    for offer in offers:
        if offer.size_bytes > MAX_ANNOTATION_BYTES:
            raise BadInput(f"{offer.name}: an annotation file of more than {MAX_ANNOTATION_BYTES >> 20} MiB")
        data = store.read_bytes(offer.source) if offer.source.startswith("s3://") else Path(offer.source).read_bytes()
        name = f"{PurePosixPath(offer.name).stem}-{hashlib.sha256(data).hexdigest()[:8]}.csv"
        if name not in kept:
            store.write_bytes(f"{arguments.store}/annotations/{name}", data)
            kept.add(name)
    return sorted(kept)


class _Taker:
    """Takes single files in, from several threads: a lock per content keeps two names of one video from racing."""

    def __init__(self, arguments: Arguments, store: Store, allow_private: bool) -> None:
        self._arguments = arguments
        self._store = store
        self._allow_private = allow_private
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def take(self, offer: Offer) -> SeenFile:
        try:
            with tempfile.TemporaryDirectory(prefix="retake-ingest-") as folder:
                path = self._fetch(offer, Path(folder))
                size_bytes = path.stat().st_size
                if size_bytes > self._arguments.max_video_mib << 20:
                    raise BadInput(f"larger than {self._arguments.max_video_mib} MiB; raise max_video_mib to take it")
                with path.open("rb") as file:
                    video = hashlib.file_digest(file, "sha256").hexdigest()
                with self._locks[video]:
                    self._record(offer.name, video, path, size_bytes)
        except (BadInput, Unavailable) as error:
            if offer.source.startswith("s3://") and isinstance(error, Unavailable):
                raise
            reason = plain_reason(error, offer.name)
            return SeenFile(name=offer.name, etag=offer.etag, size_bytes=offer.size_bytes, video=None, reason=reason)
        return SeenFile(name=offer.name, etag=offer.etag, size_bytes=size_bytes, video=video, reason=None)

    def _fetch(self, offer: Offer, folder: Path) -> Path:
        path = folder / "source"
        if offer.source.startswith("s3://"):
            self._store.read_file(offer.source, path)
        elif is_url(offer.source):
            download(offer.source, path, max_bytes=self._arguments.max_video_mib << 20, allow_private=self._allow_private)
        else:
            return Path(offer.source)
        return path

    def _record(self, name: str, video: str, path: Path, size_bytes: int) -> None:
        folder = f"{self._arguments.store}/videos/{video}"
        uri = f"{folder}/probe.json"
        if self._store.exists(uri):
            record = self._store.read(uri, VideoRecord)
            names = tuple(sorted({*record.names, name}))
            if names != record.names:
                self._store.write(uri, record.model_copy(update={"names": names}))
            return
        found = probe(path, max_seconds=self._arguments.max_video_minutes * 60)
        source = f"{folder}/source{SUFFIXES.get(found.container.split(',')[0], '.video')}"
        self._store.write_file(source, path)
        record = VideoRecord(
            video=video,
            uri=source,
            size_bytes=size_bytes,
            names=(name,),
            container=found.container,
            codec=found.codec,
            pixel_format=found.pixel_format,
            width=found.width,
            height=found.height,
            rotation_degrees=found.rotation_degrees,
            fps=found.fps,
            duration_seconds=found.duration_seconds,
            has_audio=found.has_audio,
        )
        self._store.write(uri, record)
        log.info("new video: %s (%.1f s, %dx%d)", name, found.duration_seconds, found.width, found.height)


def _stop_if_unchanged(arguments: Arguments, store: Store, videos: list[str]) -> None:
    recipe = recipe_of(arguments.picked(SegmentOptions))
    labels = result_uri(labels_out(arguments.store, recipe))
    if not store.exists(labels):
        return
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        all_cut = all(pool.map(lambda video: store.exists(f"{arguments.store}/clips/{video}/{recipe}/clips.json"), videos))
    if all_cut and store.read(labels, LabelResult).inputs_digest == inputs_digest(store, arguments.store, recipe):
        raise NothingToDo("no new video and no new annotation since labels were last gathered")


def _write_batches(arguments: Arguments, store: Store, names: dict[str, str]) -> tuple[BatchRef, ...]:
    videos = sorted(names, key=lambda video: (names[video], video))
    size = max(1, math.ceil(len(videos) / MAX_BATCHES))
    recipe = recipe_of(arguments.picked(SegmentOptions))
    batches = []
    for number, start in enumerate(range(0, len(videos), size)):
        batch = videos[start : start + size]
        uri = f"{arguments.out}batches/{number:04d}.json"
        store.write(uri, Batch(videos=tuple(batch)))
        name = names[batch[0]] if len(batch) == 1 else f"{names[batch[0]]} and {len(batch) - 1} more"
        batches.append(BatchRef(uri=uri, name=name, out=f"{arguments.out}segment/{recipe}/{number:04d}/"))
    return tuple(batches)


def _first_reasons(set_aside: tuple[SetAside, ...]) -> str:
    return "; ".join(f"{bad.name}: {bad.reason}" for bad in set_aside[:3]) or "the folder is empty"
