"""Take videos and annotation files into the store; know videos by content under all names."""

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tasks.data.clips.cut_videos import batch_size, num_uncut
from tasks.data.clips.frigate import is_frigate
from tasks.data.clips.gather_labels import given_labels, intervals_to_cut
from tasks.data.clips.intake import NUM_THREADS, Intake, keep_annotations
from tasks.data.clips.label_inputs import (
    annotation_objects,
    count_entries,
    inputs_digest,
    inventories,
    places_of_videos,
    probe_objects,
    read_log,
)
from tasks.data.clips.sources import IncomingFile, incoming_files
from tasks.data.clips.stored_clips import find_cut
from tasks.data.labels.ledger import Ledger, num_new_labels
from tasks.errors import BadConfiguration, BadInput, NothingToDo, Unavailable
from tasks.keys import recipe_of
from tasks.options import IngestOptions, SegmentOptions
from tasks.pipeline._results import finish, log
from tasks.pipeline.ingest_videos.contract import INGEST, IngestArguments
from tasks.settings import MachineSettings, SourceSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import NUM_FIRST, Batch, BatchRef, ClipsFile, IngestResult, Inventory, SeenFile, TakenFiles, VideoRecord
from tasks.store.stored import connection_of
from tasks.wording import count, plain_count, without_secrets

NUM_WAITING = 1000
"""Maximum number of files that wait for a thread."""

SAVE_SECONDS = 60


def run(arguments: IngestArguments, store: Store) -> IngestResult:
    """Ingest the files on offer; set unusable ones aside with their reasons.

    Raises:
        BadInput: nothing on offer can be used, or a source that was named does not exist.
        NothingToDo: nothing in the inbox can be used, or it has not changed since labels were last gathered.
    """
    store.ensure_bucket(arguments.store)
    offered, unreadable = _offered(arguments, store)
    tables = [o for o in offered if o.is_annotation]
    # Two sources may offer the same hour of a camera, whose second export could be another video.
    videos = list({(o.name, o.etag or o.source): o for o in offered if not o.is_annotation}.values())
    place = INGEST.address(arguments).inventory
    earlier = store.read(place) if store.exists(place.uri) else Inventory(files=())
    known = _known_files(arguments, store, earlier)
    intake = Intake(store, arguments.store, arguments.picked(IngestOptions), load(MachineSettings).allow_private_addresses)
    seen_tables = keep_annotations(store, arguments.store, intake, tables, known)
    seen = _take_videos(arguments, store, intake, videos, known, earlier)
    # A source that cannot be listed may still have the files of an earlier ingest.
    inventory = Inventory(files=(*seen, *seen_tables, *unreadable, *(_not_offered(offered, earlier) if unreadable else ())))
    names = {file.video: file.name for file in reversed(seen) if file.video}
    num_annotations = len(annotation_objects(store, arguments.store))
    for bad in inventory.set_aside:
        log.warning("set aside: %s: %s", bad.name, bad.reason)
    taken = TakenFiles(num_files=len(videos), num_videos=len(names), num_unusable=sum(file.video is None for file in seen))
    log.info("%s; annotation files: %d; set aside in all: %d", taken.in_words, num_annotations, len(inventory.set_aside))
    if arguments.sources:
        if len(inventory.set_aside) == len(inventory.files):
            raise BadInput(f"no usable video in {', '.join(arguments.sources)}: {_first_reasons(inventory.set_aside)}")
    elif reason := _reason_to_stop(arguments, store, names, inventory, earlier):
        # The next scheduled run must not fetch the bad files again.
        if inventory != earlier:
            store.write(place, inventory)
        raise NothingToDo(reason)
    result = IngestResult(
        **taken.model_dump(),
        num_annotations=num_annotations,
        num_set_aside=len(inventory.set_aside),
        first_set_aside=inventory.set_aside[:NUM_FIRST],
        batches=_write_batches(arguments, store, names),
    )
    store.write(place, inventory)
    return finish(store, INGEST.address(arguments), result)


def _offered(arguments: IngestArguments, store: Store) -> tuple[list[IncomingFile], list[SeenFile]]:
    """List the files of the sources, and the sources that cannot be listed.

    Without sources, these are the inbox and the store's standing sources. A standing source on another server that is off keeps no other
    waiting.

    Raises:
        BadInput: a source that was named does not exist, or none has a file.
        BadConfiguration: a connection that was named is not known, or its keys are refused.
        Unavailable: the store, or a server that was named, does not answer.
    """
    offered = [] if arguments.sources else list(incoming_files((), arguments.store, store))
    unreadable = []
    for source in arguments.sources or load(SourceSettings).sources.get(arguments.store, []):
        try:
            if not arguments.sources and source.lower().startswith(("http://", "https://", "web:")):
                # Nothing tells whether its content changed.
                raise BadConfiguration(
                    f"{source} is a web address, which each hourly run would fetch again; take it out of RETAKE_SOURCES, "
                    "and name it by hand, in the form of ingest_videos"
                )
            files = list(incoming_files([source], arguments.store, store, only_settled=not arguments.sources))
        except (BadInput, BadConfiguration, Unavailable) as error:
            is_store_away = isinstance(error, Unavailable) and source.startswith("s3://")
            if arguments.sources or is_store_away:
                raise
            unreadable.append(SeenFile(name=without_secrets(source), etag="", size_bytes=0, video=None, reason=str(error)))
            continue
        if files:
            log.info("%s: %s", source, count(len(files), "file"))
        else:
            log.warning("%s", _why_empty(source))
        offered += files
    if arguments.sources and not offered:
        raise BadInput(f"{'; '.join(map(_why_empty, arguments.sources))}; correct the address, or put videos there")
    return offered, unreadable


def _not_offered(offered: Sequence[IncomingFile], earlier: Inventory) -> list[SeenFile]:
    """List the files of an earlier ingest that no source offers now."""
    now = {(file.name, file.etag) for file in offered}
    return [file for file in earlier.files if file.etag and (file.name, file.etag) not in now]


def _why_empty(source: str) -> str:
    return f"{source}: no finished hour with recordings between these times" if is_frigate(source) else f"no file in {source}"


def _known_files(arguments: IngestArguments, store: Store, earlier: Inventory) -> dict[tuple[str, str], SeenFile]:
    """Map names and etags to the files that earlier ingests have seen.

    These are the videos of all ingests; some may be gone from the store. Without sources, the unusable files and annotation files of this
    ingest are known, too; by hand, they are tried again.
    """
    known = {(file.name, file.etag): file for file in earlier.files if file.etag and (file.video or not arguments.sources)}
    for inventory in inventories(store, arguments.store, but=INGEST.address(arguments).inventory):
        for file in inventory.files:
            if file.etag and file.video:
                known.setdefault((file.name, file.etag), file)
    return known


def _is_at_hand(store: Store, file: SeenFile, incoming: IncomingFile, places: Mapping[str, str]) -> bool:
    """Check whether a known video need not be fetched.

    Its copy is in the store, or it is in place: where it is offered now, or elsewhere with the same size.
    """
    place = places.get(file.video or "", "")
    if place == incoming.source or not connection_of(place):
        return bool(place)
    try:
        listed = store.stat(place)
    except (BadConfiguration, Unavailable):  # the server of that place does not answer
        return False
    return listed is not None and listed.size_bytes == file.size_bytes


def _take_videos(
    arguments: IngestArguments,
    store: Store,
    intake: Intake,
    videos: Sequence[IncomingFile],
    known: Mapping[tuple[str, str], SeenFile],
    earlier: Inventory,
) -> list[SeenFile]:
    """Ingest the videos that are not known; save the inventory for retries."""
    places = places_of_videos(store, arguments.store)

    def take(incoming: IncomingFile) -> SeenFile:
        file = known.get((incoming.name, incoming.etag))
        is_done = file is not None and (file.video is None or _is_at_hand(store, file, incoming, places))
        return file if file and is_done else intake.take_video(incoming)

    seen: list[SeenFile] = []
    saved = time.monotonic()
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for start in range(0, len(videos), NUM_WAITING):
            waiting = videos[start : start + NUM_WAITING]
            for file in pool.map(take, waiting):
                seen.append(file)
                if time.monotonic() - saved > SAVE_SECONDS:
                    # A later run is to tell of the files that were set aside.
                    taken = (file for file in seen if file.video)
                    store.write(INGEST.address(arguments).inventory, Inventory(files=(*earlier.files, *taken)))
                    saved = time.monotonic()
    return seen


def _reason_to_stop(
    arguments: IngestArguments, store: Store, names: Mapping[str, str], inventory: Inventory, earlier: Inventory
) -> str | None:
    """Explain why a scheduled ingest has nothing new for later steps; None if it has."""
    annotated = any(annotation_objects(store, arguments.store)) or bool(count_entries(store, arguments.store))
    waiting = annotated and not any(probe_objects(store, arguments.store))
    if not names and (waiting or not annotated):
        reasons = ["annotation files wait for videos"] if waiting else []
        if inventory.set_aside:
            reasons.append(f"nothing can be used: {_first_reasons(inventory.set_aside)}")
        inbox = Layout(arguments.store).inbox.folder_uri
        return f"{'; '.join(reasons) or 'the inbox is empty'}; put videos under {inbox}, or name sources in the form"
    told = set(map(_failure, earlier.files))
    if any(file.reason and _failure(file) not in told for file in inventory.files):
        return None
    return _reason_if_unchanged(arguments, store, list(names))


def _failure(file: SeenFile) -> tuple[str, str, str]:
    """Identify a failure of a file; a server's reasons have the number of the request."""
    return file.name, file.etag, re.sub(r"\S*\d\S*", "", file.reason or "")


def _reason_if_unchanged(arguments: IngestArguments, store: Store, videos: Sequence[str]) -> str | None:
    segment = arguments.picked(SegmentOptions)
    recipe = recipe_of(segment)
    labels = Layout(arguments.store).labels(recipe)
    if not store.exists(labels.uri):
        return None

    def is_cut(video: str) -> bool:
        for part in segment.parts:
            cut = find_cut(store, arguments.store, video, part)
            if cut is None or cut.is_out_of_reach:
                return False
            # Of a video that cannot be cut on the grid, no other part is cut.
            if cut.set_aside:
                break
        return True

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        all_cut = all(pool.map(is_cut, videos))
    gathered = store.read(labels)
    if not all_cut or gathered.inputs_digest != inputs_digest(store, arguments.store, recipe):
        return None
    has_more = count_entries(store, arguments.store) > gathered.num_statements
    num_new = num_new_labels(Ledger.of(read_log(store, arguments.store)), gathered.num_statements) if has_more else 0
    if num_new >= arguments.min_new_labels or (not has_more and _has_uncut(arguments, store, videos)):
        return None
    by_hand = f"; {plain_count(num_new, 'new label')} of the page, a build starts at {arguments.min_new_labels}" if num_new else ""
    return f"no new video and no new annotation since labels were last gathered{by_hand}"


def _has_uncut(arguments: IngestArguments, store: Store, videos: Sequence[str]) -> bool:
    """Check whether intervals changed that labels were gathered from, but no clip was cut around."""
    segment = arguments.picked(SegmentOptions)
    if segment.cut == "grid":
        return False

    def read(video: str) -> tuple[VideoRecord, list[ClipsFile]]:
        cuts = (find_cut(store, arguments.store, video, part) for part in segment.parts)
        return store.read(Layout(arguments.store).video(video).probe), [file for file in cuts if file]

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return num_uncut(store, arguments.store, given_labels(store, arguments.store), segment, pool.map(read, videos)) > 0


def _write_batches(arguments: IngestArguments, store: Store, names: Mapping[str, str]) -> tuple[BatchRef, ...]:
    videos = sorted(names, key=lambda video: (names[video], video))
    size = batch_size(len(videos))
    segment = arguments.picked(SegmentOptions)
    recipe = recipe_of(segment)
    is_grid, where = segment.cut == "grid", arguments.store
    intervals = {} if is_grid else intervals_to_cut(store, where, given_labels(store, where), names.keys())
    ingest, batches = INGEST.address(arguments), []
    for number, start in enumerate(range(0, len(videos), size)):
        batch = videos[start : start + size]
        store.write(
            ingest.batch(number), Batch(videos=tuple(batch), intervals={video: intervals[video] for video in batch if video in intervals})
        )
        name = names[batch[0]] if len(batch) == 1 else f"{names[batch[0]]} and {len(batch) - 1} more"
        batches.append(BatchRef(uri=ingest.batch(number).uri, name=name, out=ingest.segment(recipe, number).folder_uri))
    return tuple(batches)


def _first_reasons(set_aside: Sequence[SetAside]) -> str:
    return "; ".join(f"{bad.name}: {bad.reason}" for bad in set_aside[:3])
