"""Survey a store for videos that are to be forgotten: their names, and the datasets, runs and networks that they are in."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

from tasks.data.clips.label_inputs import inventories, video_records
from tasks.data.clips.traces import Traces
from tasks.errors import BadInput
from tasks.store.derived import claimed_run, is_training_plan, taught_run
from tasks.store.layout import Layout, dataset_of, folders_of, is_manifest
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelsFile, Manifest
from tasks.store.records.training import PlanResult
from tasks.store.records.upkeep import Forgetting
from tasks.store.records.video import ClipRecord, ClipsFile, VideoRecord
from tasks.store.runs import run_holding
from tasks.store.stored import connection_of

M = TypeVar("M", bound=BaseModel)
log = logging.getLogger("retake")


def survey(store: Store, store_uri: str, videos: Sequence[str], *, at: str, by: str, reason: str) -> Forgetting:
    """Collect the names of the videos, and the datasets, runs and networks that they are in."""
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
    """Read a record; one that is missing, or that another version of Retake wrote, tells nothing."""
    try:
        return store.read(uri, model)
    except BadInput as error:
        log.warning("%s", error)
        return None


def _names(own: Sequence[VideoRecord], others: Sequence[VideoRecord], seen: Collection[str]) -> tuple[str, ...]:
    """List the texts that name these videos and no other: paths, file names and web pages."""
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
    """Map the names of sources and recordings in today's labels to their videos; a source without a name is called by the hash of its first."""
    videos: defaultdict[str, set[str]] = defaultdict(set)
    lists = (uri for uri in listed if uri.startswith(Layout(store_uri).all_labels) and uri.endswith("/labels.json"))
    for labels in filter(None, (_read(store, uri, LabelsFile) for uri in lists)):
        for clip in labels.clips:
            videos[clip.source].add(clip.clip.video)
        for recording in labels.recordings:
            videos.pop(recording.videos[0], None)
            videos[recording.name].update(recording.videos)
    return videos


def _datasets(store: Store, listed: Sequence[str], traces: Traces) -> tuple[set[str], set[str]]:
    """List the digests of datasets with a clip of the videos, and of those that train on one or choose an epoch by it."""
    datasets, teaching = set[str](), set[str]()
    for uri in listed:
        if is_manifest(uri) and store.exists(uri) and traces.in_bytes(store.read_bytes(uri)):
            datasets.add(dataset_of(uri))
            manifest = _read(store, uri, Manifest)
            if not manifest or any(clip.split != "test" and traces.in_text(clip.uid) for clip in manifest.clips):
                teaching.add(dataset_of(uri))
    return datasets, teaching


def _runs(store: Store, listed: Sequence[str], datasets: set[str], teaching: set[str], traces: Traces) -> tuple[set[str], set[str]]:
    """List the runs on these datasets, and those that learnt from the videos.

    Those made from a network that learnt from them count, too.
    """
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
    while more := {run for run, before in started_from.items() if before & taught} - taught:
        taught |= more
    return {run for run, digests in on.items() if digests & datasets}, taught
