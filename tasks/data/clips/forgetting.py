"""Delete the objects of videos to forget, or write them anew without the videos.

An object goes by its address, its origin or its content. Checkpoints, scores and decisions of runs stay; pages and pictures go, since they
may show a video. The intent has all that a later try must know, so deletions may happen in any order.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES, came_with, in_threads, inventories, video_records
from tasks.data.clips.traces import LabelledVideos, Traces, csv_blanked, json_blanked, json_without, table_without
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats import formats
from tasks.data.labels.formats.items import VIDEO_SUFFIXES
from tasks.data.labels.video_names import VideoIndex
from tasks.data.split.split import read_drawn, read_split_csv, write_split_csv
from tasks.errors import BadInput, MissingObject
from tasks.store.derived import claimed_run, folder_together, is_training_plan, run_showing_clips, taught_run
from tasks.store.layout import Layout, dataset_of, folders_of, is_file_of_video, is_manifest
from tasks.store.objects import Store, StoredObject, to_json
from tasks.store.records.dataset import LabelsFile, Manifest
from tasks.store.records.labelling import Forgotten, LogBlock, LogEntry
from tasks.store.records.training import PlanResult
from tasks.store.records.upkeep import Forgetting, Tombstone, TraceCount
from tasks.store.records.video import ClipRecord, ClipsFile, VideoRecord
from tasks.store.run_layout import run_holding
from tasks.store.stored import Folder, connection_of, last_name

M = TypeVar("M", bound=BaseModel)
log = logging.getLogger("retake")

MARKS = ("result.json", "manifest.json", "clips.json", "probe.json")
"""Written last, so deleted first: nobody reads half a folder."""

KINDS = {
    "inbox": "sources",
    "videos": "sources",
    "clips": "clips, flow and sound",
    "label_log": "statements and leases of the page Label",
    "annotations": "annotation files",
    "labels": "lists of labels",
    "runs": "evaluations and reports",
    "searches": "comparisons and searches",
    "comparisons": "comparisons and searches",
}
"""The kind of an object by its first folder; by default it is the folder's name."""

OPAQUE = (".ckpt", ".mkv", ".mp4", ".npy", ".npz", ".png", ".pt")
"""Endings of objects that hold no text; they go by address or origin."""

UNREAD = re.compile(r"videos/|pretrained/(?!choices/)|clips/(?!.*/clips\.json$)|runs/[^/]+/packages/[^/]+/package/")
"""Objects that name no other video than their address does. The only video of a package is drawn."""

OF_DATASET = re.compile(r"(searches|comparisons|plans|pretrained/choices)/|datasets/result\.json")
"""Objects that are of no use without the dataset that they name."""

STATUS = re.compile(r"status/(dataset|predictions)\.json")
"""Summaries that lead to datasets and predictions."""

LISTS = r"(ingests/[^/]+/inventory|looks/[^/]+/clips|clips/.*/clips|runs/.*/(evaluate/.*/result|train/unlabelled)|status/.*)\.json"
LABELS = re.compile(r"(annotations|inbox)/.*")


@dataclass(frozen=True)
class Trace:
    """An object that is deleted, or written anew."""

    uri: str
    kind: str
    is_kept: bool


class Remover:
    """Finds and deletes the videos of an intent."""

    def __init__(self, store: Store, store_uri: str, forgetting: Forgetting) -> None:
        self._store = store
        self._at = Layout(store_uri)
        self.forgetting = forgetting
        self._by_hash = Traces(forgetting.videos, keys=forgetting.uids)
        self._by_name = Traces(forgetting.videos, _told_apart(forgetting.names), forgetting.uids)
        self._traces = traces_of(forgetting)
        records = video_records(store, store_uri)
        names = {record.video: record.names for record in records} | dict.fromkeys(forgetting.videos, forgetting.names)
        fps = {record.video: record.fps for record in records} | dict.fromkeys(forgetting.videos, 30.0)
        self._beside = came_with(store, store_uri)
        self._labelled = LabelledVideos(VideoIndex((), names), fps, frozenset(forgetting.videos), self._by_name)

    def find(self) -> list[Trace]:
        """List objects to delete or write anew, marks first; note whole folders in the intent.

        Raises:
            BadInput: an annotation file cannot be written without the videos.
        """
        listed = [item for item in self._store.list(self._at.folder_uri) if not item.uri.startswith(self._at.forgotten.folder_uri)]
        named = {item.uri for item, is_named in zip(listed, in_threads(self._is_named, listed), strict=True) if is_named}
        folders = {*self.forgetting.folders, *filter(None, map(folder_together, named))}
        self.forgetting = self.forgetting.model_copy(update={"folders": tuple(sorted(folders))})
        gone = {item.uri for item in listed if folder_together(item.uri) in folders or run_showing_clips(item.uri) in self.forgetting.shown}
        summaries = {item.uri for item in listed if STATUS.match(self._name(item.uri)) and self._gone.in_bytes(self._content(item.uri))}
        kept = {uri for uri in (named | summaries) - gone if self._rewritten(uri, self._content(uri)) is not None}
        # A listing may still have an object that was deleted just now.
        there = filter(self._store.exists, gone | named | summaries)
        first_folders = {uri: self._name(uri).partition("/")[0] for uri in there}
        traces = [Trace(uri, KINDS.get(folder, folder), is_kept=uri in kept) for uri, folder in first_folders.items()]
        return sorted(traces, key=lambda trace: (not trace.uri.endswith(MARKS), trace.uri))

    def remove(self, traces: Sequence[Trace]) -> None:
        """Delete or write anew each object."""
        # Marks are no part of another request, which may delete in any order.
        for (is_kept, _), together in groupby(traces, key=lambda trace: (trace.is_kept, trace.uri.endswith(MARKS))):
            if is_kept:
                for trace in together:
                    self._write_anew(trace.uri)
            else:
                self._store.delete(trace.uri for trace in together)

    def _write_anew(self, uri: str) -> None:
        earlier = self._store.stat(uri)
        content = self._rewritten(uri, self._content(uri)) if earlier else None
        if content is None:
            self._store.delete([uri])
        else:
            self._store.replace_bytes(uri, content, earlier)  # the next search has an object that changed meanwhile

    def _content(self, uri: str) -> bytes:
        try:
            return self._store.read_bytes(uri)
        except MissingObject:
            return b""

    def _name(self, uri: str) -> str:
        return Folder(self._at.folder_uri).name_of(uri)

    def _is_named(self, item: StoredObject) -> bool:
        """Check whether an object names a video, or is made of a dataset with one."""
        name = self._name(item.uri)
        datasets = Traces((), keys=self.forgetting.datasets if OF_DATASET.match(name) else ())
        if self._is_address_of_video(name) or datasets.in_text(name):
            return True
        if UNREAD.match(name) or name.endswith(OPAQUE):
            return False
        if LABELS.match(name):
            if not name.lower().endswith(formats().suffixes) or item.size_bytes > MAX_ANNOTATION_BYTES:
                return False
            content = self._content(item.uri)
            return self._rewritten(item.uri, content) != content
        content = self._content(item.uri)
        return self._traces.in_bytes(content) or datasets.in_bytes(content)

    def _is_address_of_video(self, name: str) -> bool:
        """Check whether an address names a video; only people's files are called by its names."""
        is_peoples = LABELS.match(name) is not None
        is_source = is_peoples and name.endswith(tuple(f"/{own}" for own in self.forgetting.names))
        return is_source or self._by_hash.in_text(name) or (is_peoples and self._by_name.in_text(PurePosixPath(name).name))

    @property
    def _gone(self) -> Traces:
        """Collect the texts that name a dataset or a prediction that goes."""
        predictions = (last_name(uri) for uri in self.forgetting.folders if uri.startswith(self._at.predictions))
        return Traces((), keys=(*self.forgetting.datasets, *predictions))

    def _rewritten(self, uri: str, content: bytes) -> bytes | None:
        """Write an object anew without the videos; None if it is to be deleted."""
        name = self._name(uri)
        if self._is_address_of_video(name):
            return None
        if LABELS.fullmatch(name):
            return self._labels_without(name, content)
        matches = self._traces.in_text
        ways: Mapping[str | re.Pattern[str], Callable[[bytes], bytes | None]] = {
            STATUS: lambda data: json_without(data, lambda text: matches(text) or self._gone.in_text(text)),
            r"status/models/.*/model\.json": lambda data: json_without(data, matches, blanked=("reason",)),
            LISTS: lambda data: json_without(data, matches),
            r"runs/.*/(evaluate/.*|train/answers)\.parquet": lambda data: table_without(data, matches),
            r"datasets/split\.csv": self._splits_without,
            r"((champions|decisions)/.*|runs/.*/decide/result)\.json": lambda data: json_blanked(data, matches),
            r"decisions\.csv": lambda data: csv_blanked(data, matches),
            r"label_log/(blocks/)?[0-9]+\.json": self._statements_without,
        }
        return next((rewrite(content) for pattern, rewrite in ways.items() if re.fullmatch(pattern, name)), None)

    def _splits_without(self, content: bytes) -> bytes:
        theirs = {*self.forgetting.videos, *self.forgetting.sources}
        kept = {name: split for name, split in read_split_csv(content).items() if name not in theirs}
        return write_split_csv(kept, {}, read_drawn(content) - theirs)

    def _statements_without(self, content: bytes) -> bytes:
        try:
            block = LogBlock.model_validate_json(content)
        except ValidationError:
            try:
                return to_json(self._statement_without(LogEntry.model_validate_json(content)))
            except ValidationError:
                # The entries after a missing one would not be read; one that cannot be read counts for nothing.
                return b"{}\n"
        return to_json(LogBlock(entries=tuple(map(self._statement_without, block.entries))))

    def _statement_without(self, entry: LogEntry) -> LogEntry:
        statement = entry.statement
        if not self._traces.in_bytes(to_json(entry)):
            return entry
        return LogEntry(statement=Forgotten(token=statement.token, by=statement.by, at=statement.at, after=statement.after))

    def _labels_without(self, name: str, content: bytes) -> bytes | None:
        file = PurePosixPath(name).name
        beside = self._beside.get(file, frozenset())
        return self._labelled.beside(beside).without(AnnotationFile(file, content, beside=beside))


def traces_of(forgetting: Forgetting) -> Traces:
    """Collect the texts to search for: hashes, uids of clips, names of videos and pages.

    A name is left out if it does not end as videos do, or if the store gives it to its own files.
    """
    names = tuple(name for name in _told_apart(forgetting.names) if not is_file_of_video(name))
    return Traces(forgetting.videos, names, forgetting.uids)


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Select names that end as videos do, and pages: `0.1` or `best.pt` may mean anything."""
    return tuple(name for name in names if "://" in name or name.lower().endswith(VIDEO_SUFFIXES))


def counted(traces: Sequence[Trace]) -> tuple[TraceCount, ...]:
    """Count deleted and rewritten objects, by kind."""
    numbers = Counter((trace.kind, trace.is_kept) for trace in traces)
    return tuple(
        TraceCount(kind=kind, num_deleted=numbers[kind, False], num_rewritten=numbers[kind, True])
        for kind in sorted({kind for kind, _ in numbers})
    )


def files_of_clips(folder: Path, clip_hashes: Sequence[str]) -> list[Path]:
    """List the frames, sound and features of these clips in a cache."""
    return [path for path in folder.rglob("*") if path.name.startswith(tuple(clip_hashes))]


def drop_from_cache(store: Store, store_uri: str, folder: Path) -> int:
    """Delete the files of forgotten videos from this machine's cache; return their number."""
    tombstones = [store.read(listed.uri, Tombstone) for listed in store.list(Layout(store_uri).forgotten.tombstones)]
    files = files_of_clips(folder, [sha256 for tombstone in tombstones for sha256 in tombstone.clip_hashes])
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


def survey(store: Store, store_uri: str, videos: Sequence[str], *, at: str, by: str, reason: str) -> Forgetting:
    """Collect the names of the videos, and the datasets, runs and networks that have them."""
    records = video_records(store, store_uri)
    own = [record for record in records if record.video in videos]
    listed = [item.uri for item in store.list(Layout(store_uri).folder_uri)]
    clips, others = _clips(store, store_uri, listed, videos)
    uids = tuple(sorted(clip.uid for clip in others))
    seen = {file.name for inventory in inventories(store, store_uri) for file in inventory.files if file.video in videos}
    names = _names(own, [record for record in records if record.video not in videos], seen)
    by_source = videos_of_sources(store, store_uri, listed)
    datasets, teaching = _datasets(store, listed, Traces(tuple(videos), keys=uids))
    shown, taught = _runs(store, listed, datasets, teaching, Traces(tuple(videos), keys=uids))
    return Forgetting(
        number=0,
        at=at,
        by=by,
        reason=reason,
        videos=tuple(videos),
        names=names,
        uids=uids,
        sources=tuple(sorted(source for source, of_source in by_source.items() if of_source <= set(videos))),
        datasets=tuple(sorted(datasets)),
        folders=(),
        shown=tuple(sorted(shown)),
        taught=tuple(sorted(taught)),
        clip_hashes=tuple(sorted({clip.sha256 for clip in (*clips, *others)})),
        left_in_place=tuple(sorted(record.uri for record in own if connection_of(record.uri))),
    )


def _clips(store: Store, store_uri: str, listed: Sequence[str], videos: Sequence[str]) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """List the clips of the videos, and those of other videos that end in one."""
    traces = Traces(tuple(videos))
    folders = folders_of(uri for uri in listed if uri.startswith(Layout(store_uri).all_clips) and traces.in_text(uri))
    files = [_read(store, uri, ClipsFile) for uri in listed if uri.endswith("/clips.json") and folders_of([uri]) <= folders]
    clips = [clip for file in files if file for clip in file.clips]
    own = [clip for clip in clips if clip.video in videos]
    return own, [clip for clip in clips if clip.video not in videos and clip.next_video in videos]


def _read(store: Store, uri: str, model: type[M]) -> M | None:
    """Read a record; None if it is missing or of another version of Retake."""
    try:
        return store.read(uri, model)
    except BadInput as error:
        log.warning("%s", error)
        return None


def _names(own: Sequence[VideoRecord], others: Sequence[VideoRecord], seen: Collection[str]) -> tuple[str, ...]:
    """List the paths, file names and web pages that name these videos and no other."""
    theirs = {text.casefold() for record in others for name in record.names for text in (name, PurePosixPath(name).name)}
    pages = {record.web_page.address for record in own if record.web_page}
    names = {*seen, *(name for record in own for name in record.names)}
    ours = {*pages, *names, *(PurePosixPath(name).name for name in names)}
    # A name without an ending or a folder is a word that may stand anywhere, and a file may be called like the address of a server.
    return tuple(
        sorted(
            name for name in ours if name.casefold() not in theirs and ("." in name or "/" in name) and ("://" not in name or name in pages)
        )
    )


def videos_of_sources(store: Store, store_uri: str, listed: Sequence[str]) -> Mapping[str, set[str]]:
    """Map the names of sources and recordings in today's labels to their videos."""
    videos: defaultdict[str, set[str]] = defaultdict(set)
    lists = (uri for uri in listed if uri.startswith(Layout(store_uri).all_labels) and uri.endswith("/labels.json"))
    for labels in filter(None, (_read(store, uri, LabelsFile) for uri in lists)):
        for clip in labels.clips:
            videos[clip.source].add(clip.clip.video)
        for recording in labels.recordings:
            # A source without a name is called by the hash of its first video.
            videos.pop(recording.videos[0], None)
            videos[recording.name].update(recording.videos)
    return videos


def _datasets(store: Store, listed: Sequence[str], traces: Traces) -> tuple[set[str], set[str]]:
    """List datasets with a clip of the videos, and those with one outside of test."""
    datasets, teaching = set[str](), set[str]()
    for uri in listed:
        if is_manifest(uri) and store.exists(uri) and traces.in_bytes(store.read_bytes(uri)):
            datasets.add(dataset_of(uri))
            manifest = _read(store, uri, Manifest)
            if not manifest or any(clip.split != "test" and traces.in_text(clip.uid) for clip in manifest.clips):
                teaching.add(dataset_of(uri))
    return datasets, teaching


def _runs(store: Store, listed: Sequence[str], datasets: set[str], teaching: set[str], traces: Traces) -> tuple[set[str], set[str]]:
    """List the runs on these datasets, and those that learnt from the videos."""
    on, started_from, taught = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set), set[str]()
    for uri in listed:
        if claim := claimed_run(uri):
            on[claim[1]].add(claim[0])
        elif is_training_plan(uri) and (plan := _read(store, uri, PlanResult)):
            on[plan.run_key].add(plan.dataset_digest)
            started_from[plan.run_key] |= {run.key for run in map(run_holding, plan.made_from) if run}
        elif (student := taught_run(uri)) and traces.in_bytes(store.read_bytes(uri)):
            taught.add(student)
    taught |= {run for run, digests in on.items() if digests & teaching}
    # A network that is made from one that learnt from the videos did so, too.
    while more := {run for run, before in started_from.items() if before & taught} - taught:
        taught |= more
    return {run for run, digests in on.items() if digests & datasets}, taught
