"""Read the inputs of labels: videos, predictions, annotation files, classes, the page's log.

An entry of the log is created only if its number is free, so two people who write at once lose no line. Full blocks of entries are also
kept in one object each: a store with 20,000 labels is read in some 40 requests. A damaged entry keeps its number, and costs itself alone.
"""

import logging
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats import formats
from tasks.data.labels.vocabulary import FIRST_OWN_ID, OwnClasses, WordTarget
from tasks.download import download
from tasks.errors import BadInput, MissingObject, Unavailable
from tasks.keys import content_key
from tasks.store.layout import Layout, is_own_class, is_probe, video_of
from tasks.store.objects import Store, StoredObject
from tasks.store.records.dataset import ClassRef
from tasks.store.records.labelling import AnyEntry, AnyStatement, DamagedEntry, LogBlock, LogEntry
from tasks.store.records.video import Inventory, SeenFile, VideoRecord
from tasks.store.run_layout import Prediction
from tasks.store.stored import Stored, connection_of, last_name
from tasks.wording import quoted

S = TypeVar("S")
T = TypeVar("T")

MAX_ANNOTATION_BYTES = 64 << 20
NUM_THREADS = 16

BEFORE_ALL = "0001-01-01T00:00:00+00:00"

log = logging.getLogger("retake")

EPIC_ADDRESS = "https://raw.githubusercontent.com/epic-kitchens/epic-kitchens-55-annotations/master/"
EPIC_HEADERS = {"verb": b"verb_id,", "noun": b"noun_id,"}
MAX_EPIC_LIST_BYTES = 1 << 20

BLOCK_SIZE = 500


def in_threads(read: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Read several objects at a time."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(read, items))


def annotation_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List annotation files in upload order: later ones override earlier ones."""
    return sorted(_listed(store, store_uri)[True], key=lambda o: (o.modified, o.uri))


def _listed(store: Store, store_uri: str) -> dict[bool, list[StoredObject]]:
    """List the objects under `annotations/` by whether a format has their ending."""
    by_known: dict[bool, list[StoredObject]] = {True: [], False: []}
    for listed in store.list(Layout(store_uri).annotations.folder_uri):
        by_known[listed.name.lower().endswith(formats().suffixes)].append(listed)
    return by_known


def last_upload(store: Store, store_uri: str) -> str:
    """Return the time of the latest annotation file by the store's clock, or `BEFORE_ALL`."""
    return max((listed.modified for listed in annotation_objects(store, store_uri)), default=BEFORE_ALL)


def annotation_file(store: Store, listed: StoredObject, beside: frozenset[str] = frozenset()) -> AnnotationFile:
    """Read a listed annotation file, unless it is too large."""
    # S3 clients put files past the intake's limit.
    if listed.size_bytes > MAX_ANNOTATION_BYTES:
        too_large = f"is larger than {MAX_ANNOTATION_BYTES >> 20} MiB and was not read; split it into several files"
        return AnnotationFile(listed.name, b"", unread=too_large)
    return AnnotationFile(listed.name, store.read_bytes(listed.uri), beside=beside)


def annotation_files(store: Store, store_uri: str) -> list[tuple[str, AnnotationFile]]:
    """Read the annotation files, in upload order, with their times of upload.

    Files that no format reads come first, so that people learn of a plugin that is broken or not installed.
    """
    beside = came_with(store, store_uri)

    def read(listed: StoredObject) -> tuple[str, AnnotationFile]:
        return listed.modified, annotation_file(store, listed, beside.get(listed.name, frozenset()))

    reason = "; ".join(("has an ending that no label format has", *formats().left_out))
    unknown = [(BEFORE_ALL, AnnotationFile(listed.name, b"", unread=reason)) for listed in _listed(store, store_uri)[False]]
    return [*unknown, *in_threads(read, annotation_objects(store, store_uri))]


def came_with(store: Store, store_uri: str) -> dict[str, frozenset[str]]:
    """Find the videos that came with each file under `annotations/`, in all its ingests."""
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for inventory in inventories(store, store_uri):
        kept = {file.name: file.kept_as for file in inventory.files if file.kept_as}
        for name, videos in videos_beside(kept, inventory.files).items():
            beside[kept[name]] |= videos
    return {name: frozenset(videos) for name, videos in beside.items()}


def videos_beside(names: Iterable[str], files: Iterable[SeenFile]) -> dict[str, frozenset[str]]:
    """Find the videos of `files` in each annotation file's folder and below, else all videos."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        for folder in PurePosixPath(file.name).parents if file.video else ():
            below[str(folder)].add(file.video or "")
    return {name: frozenset(below.get(str(PurePosixPath(name).parent)) or below["."]) for name in names}


def inventories(store: Store, store_uri: str, but: Stored[Inventory] | None = None) -> list[Inventory]:
    """Read the inventories of all ingests `but` one; one that cannot be read is empty."""

    def read(place: Stored[Inventory]) -> Inventory:
        try:
            return store.read(place)
        except BadInput as error:
            log.warning("which files came together is not known: %s", error)
            return Inventory(files=())

    at = Layout(store_uri)
    places = (at.ingest(last_name(folder)).inventory for folder in store.folders(at.ingests))
    return in_threads(read, (place for place in places if place != but))


def epic_list_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List EPIC-KITCHENS-55's class lists in the store."""
    return list(filter(None, map(store.stat, epic_list_uris(store_uri).values())))


def probe_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List the probes of all ingested videos."""
    return [o for o in store.list(Layout(store_uri).videos) if is_probe(o.uri)]


def places_of_videos(store: Store, store_uri: str) -> dict[str, str]:
    """Map each ingested video to the address of its file, unless its copy was deleted."""
    at = Layout(store_uri)
    uris = [listed.uri for listed in store.list(at.videos)]
    copies = {video_of(uri): uri for uri in uris if not is_probe(uri)}
    videos = [video_of(uri) for uri in uris if is_probe(uri)]
    places = in_threads(lambda video: copies.get(video) or store.read(at.video(video).probe).uri, videos)
    return {video: place for video, place in zip(videos, places, strict=True) if video in copies or connection_of(place)}


def video_records(store: Store, store_uri: str) -> list[VideoRecord]:
    """Read the records of all ingested videos."""
    return in_threads(lambda probe: store.read(probe.uri, VideoRecord), probe_objects(store, store_uri))


def latest_prediction(store: Store, store_uri: str) -> str | None:
    """Find the folder of the prediction whose report was written last."""
    reports = ((store.stat(Prediction(folder).report.uri), folder) for folder in store.folders(Layout(store_uri).predictions))
    latest = max(((report.modified, folder) for report, folder in reports if report), default=None)
    return latest[1] if latest else None


def prediction_table(store: Store, parquet: str, text: str) -> bytes:
    """Read a table of a prediction, from CSV if an earlier version wrote no Parquet."""
    return store.read_bytes(parquet if store.exists(parquet) else text)


def inputs_digest(store: Store, store_uri: str, recipe: str, probes: Sequence[StoredObject] | None = None) -> str:
    """Hash all inputs of labelling except the page's labels.

    A new video, name or annotation file changes the hash. `probes` are as `probe_objects` lists them; None lists them here.
    """
    probes = probe_objects(store, store_uri) if probes is None else probes
    objects = [*probes, *annotation_objects(store, store_uri), *epic_list_objects(store, store_uri)]
    beside = {name: sorted(videos) for name, videos in came_with(store, store_uri).items()}
    came_together = {"beside": beside} if beside else {}
    return content_key({"recipe": recipe, "inputs": [(o.uri, o.etag) for o in objects], **came_together})


def epic_list_uris(store_uri: str) -> dict[str, str]:
    """Return the address of each target's list."""
    return {target: Layout(store_uri).pretrained(f"EPIC_{target}_classes.csv") for target in EPIC_HEADERS}


def keep_epic_lists(store: Store, store_uri: str, *, allow_private: bool) -> None:
    """Download the missing lists, or log a warning."""
    # Without the lists, words get ids from the store, not those that EPIC's networks use.
    for target, uri in epic_list_uris(store_uri).items():
        if store.exists(uri):
            continue
        with tempfile.TemporaryDirectory(prefix="retake-weights-") as folder:
            path = Path(folder) / last_name(uri)
            try:
                download(f"{EPIC_ADDRESS}{path.name}", path, max_bytes=MAX_EPIC_LIST_BYTES, allow_private=allow_private)
                if not path.read_bytes().startswith(EPIC_HEADERS[target]):
                    raise BadInput(f"{EPIC_ADDRESS}{path.name} is not a list of classes")
            except (BadInput, Unavailable) as error:
                log.warning("%s; or put %s under pretrained/ of the store", error, path.name)
            else:
                store.write_file(uri, path)


def own_classes(store: Store, store_uri: str) -> OwnClasses:
    """Read the ids that this store has given."""
    return OwnClasses(verbs=_ids_given(store, store_uri, "verb"), nouns=_ids_given(store, store_uri, "noun"))


def number_words(store: Store, store_uri: str, own: OwnClasses, words: Mapping[WordTarget, Iterable[str]]) -> OwnClasses:
    """Give each of `words` the next free id, or keep the id that it has.

    Another step may have numbered a word meanwhile.
    """
    return OwnClasses(
        verbs=_numbered(store, store_uri, "verb", own.verbs, words["verb"]),
        nouns=_numbered(store, store_uri, "noun", own.nouns, words["noun"]),
    )


def _ids_given(store: Store, store_uri: str, target: WordTarget) -> dict[str, int]:
    uris = [o.uri for o in store.list(Layout(store_uri).own_classes(target)) if is_own_class(o.uri)]
    classes = in_threads(lambda uri: store.read(uri, ClassRef), uris)
    return {ref.name: ref.id for ref in sorted(classes, key=lambda ref: ref.id, reverse=True)}


def _numbered(store: Store, store_uri: str, target: WordTarget, given: Mapping[str, int], words: Iterable[str]) -> dict[str, int]:
    known = dict(given)
    free = count(max([FIRST_OWN_ID[target] - 1, *known.values()]) + 1)
    for word in sorted(words):
        while word not in known:
            ref = ClassRef(id=next(free), name=word)
            at = Layout(store_uri).own_class(target, ref.id)
            if store.create(at, ref):
                log.info("new %s %s has the id %d", target, quoted(word), ref.id)
            else:
                ref = store.read(at)
            known.setdefault(ref.name, ref.id)
    return known


def read_log(store: Store, store_uri: str, num_known: int = 0) -> list[AnyEntry]:
    """Read the entries after the first `num_known`."""
    log, entries, number = Layout(store_uri).label_log, list[AnyEntry](), num_known
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        while True:
            if number % BLOCK_SIZE == 0:
                try:
                    entries += store.read(log.block(number // BLOCK_SIZE)).entries
                    number = num_known + len(entries)
                    continue
                except BadInput:
                    pass  # it is missing, or damaged: its entries are there one by one
            stop = (number // BLOCK_SIZE + 1) * BLOCK_SIZE
            entries += _log_entries(store, store_uri, number, stop, pool)
            if num_known + len(entries) < stop:
                return entries
            number = stop


def _log_entries(store: Store, store_uri: str, start: int, stop: int, pool: ThreadPoolExecutor) -> Iterator[AnyEntry]:
    """Read single entries until one is missing."""
    begin, num_ahead = start, 1  # most often nothing is new
    while begin < stop:
        for entry in pool.map(partial(_log_entry, store, store_uri), range(begin, min(stop, begin + num_ahead))):
            if entry is None:
                return
            yield entry
        begin, num_ahead = begin + num_ahead, NUM_THREADS


def _log_entry(store: Store, store_uri: str, number: int) -> AnyEntry | None:
    try:
        return store.read(Layout(store_uri).label_log.entry(number))
    except MissingObject:
        return None
    except BadInput as error:
        return DamagedEntry(reason=f"{str(error).partition(';')[0]}; it counts for nothing")


def count_entries(store: Store, store_uri: str) -> int:
    """Count the entries of the log, by few requests."""
    log, number = Layout(store_uri).label_log, 0
    while store.exists(log.block(number // BLOCK_SIZE).uri) or store.exists(log.entry(number + BLOCK_SIZE - 1).uri):
        number += BLOCK_SIZE
    return bisect_left(range(number, number + BLOCK_SIZE), True, key=lambda tried: not store.exists(log.entry(tried).uri)) + number


def append_to_log(store: Store, store_uri: str, statement: AnyStatement, num_known: int) -> list[AnyEntry]:
    """Append a statement, and return all entries after the first `num_known`, the new one last.

    If an entry that came in meanwhile has the statement's token, nothing is written.
    """
    at, entry = Layout(store_uri).label_log, LogEntry(statement=statement)
    entries = list[AnyEntry]()
    while not store.create(at.entry(num_known + len(entries)), entry):
        others = read_log(store, store_uri, num_known + len(entries))
        entries += others
        if any(isinstance(other, LogEntry) and other.statement.token == statement.token for other in others):
            return entries
    return [*entries, entry]


def write_blocks(store: Store, store_uri: str, entries: Sequence[AnyEntry], first_block: int = 0) -> int:
    """Write each missing full block from `first_block` on; return the number of full blocks.

    `entries` are all of the log. No block is written of damaged entries, which another version may read.
    """
    num_blocks = len(entries) // BLOCK_SIZE
    for number in range(first_block, num_blocks):
        block = tuple(entry for entry in entries[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE] if isinstance(entry, LogEntry))
        if len(block) == BLOCK_SIZE:
            store.create(Layout(store_uri).label_log.block(number), LogBlock(entries=block))
    return num_blocks
