"""Label all clips of one recipe by the labels that a store has now.

They are of folders, annotation files and the page Label.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tasks.data.clips.clips import find_cut
from tasks.data.clips.label_inputs import annotation_file, annotation_files, epic_list_objects, probe_objects
from tasks.data.clips.label_log import read_log
from tasks.data.clips.own_classes import own_classes
from tasks.data.labels.labels import Labelling, label_clips
from tasks.data.labels.page_files import with_page_labels
from tasks.data.labels.rows import AnnotationFile
from tasks.data.labels.statements import Ledger, page_labels, page_parts, touched_clips
from tasks.data.labels.vocabulary import OwnClasses
from tasks.errors import BadInput
from tasks.options import LabelOptions, SegmentOptions
from tasks.store.objects import Store, StoredObject
from tasks.store.records.video import ClipRecord, ClipsFile, VideoRecord
from tasks.wording import count

log = logging.getLogger("retake")

NUM_THREADS = 16


@dataclass(frozen=True)
class Given:
    """Holds all files and statements that labels are gathered from.

    They are EPIC's class lists, annotation files with their times of upload, and the statements of the labelling page.
    """

    lists: Sequence[AnnotationFile]
    uploaded: Sequence[tuple[str, AnnotationFile]]
    by_hand: Ledger


@dataclass(frozen=True)
class LabelledStore:
    """Hold the labels of all clips of one recipe, and their inputs.

    Those are the videos with their clips, the labels that people gave, and the ids so far.
    """

    labelling: Labelling
    cut: Sequence[tuple[VideoRecord, Sequence[ClipsFile]]]
    given: Given
    own: OwnClasses


def given_labels(store: Store, store_uri: str) -> Given:
    """Read all files and statements that labels are gathered from.

    There may be many files.
    """
    lists = [annotation_file(store, listed) for listed in epic_list_objects(store, store_uri)]
    return Given(lists, annotation_files(store, store_uri), Ledger.of(read_log(store, store_uri)))


def label_now(store: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions, *, with_page: bool = True) -> LabelledStore:
    """Label every clip that was cut with `segment`.

    Nothing is written, and words without an id keep none. Without the page, folders and files alone label.

    Raises:
        BadInput: no video has been cut by this recipe.
    """
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        videos = list(pool.map(partial(_read, store, store_uri, segment), probe_objects(store, store_uri)))
    cut = [(record, files) for record, files in videos if files]
    clips = [clip for _, files in cut for clip in _clips(files)]
    if not cut:
        raise BadInput(f"no clips in {store_uri} cut by this recipe; run ingest_videos with the same cutting options first")
    if segment.cut == "intervals" and not clips:
        raise BadInput(f"no labelled interval in {store_uri} is cut; label intervals and run ingest_videos, or choose cut=grid")
    given = given_labels(store, store_uri)
    by_hand = given.by_hand
    of_page = page_labels(by_hand, clips, options.min_overlap), page_parts(by_hand, clips), by_hand.merges
    files = [*given.lists, *with_page_labels(given.uploaded, *of_page)]
    own = own_classes(store, store_uri)
    labelling = label_clips(
        clips,
        {record.video: record.names for record, _ in cut},
        files,
        options,
        own,
        {record.video: record.fps for record, _ in cut},
        touched_clips(by_hand, clips) if options.nothing_share else frozenset(),
        with_page=with_page,
    )
    log.info("%s, %d labelled; %s", count(len(labelling.clips), "clip"), labelling.num_labelled, count(len(files), "annotation file"))
    return LabelledStore(labelling, cut, given, own)


def _read(store: Store, store_uri: str, segment: SegmentOptions, probe: StoredObject) -> tuple[VideoRecord, list[ClipsFile]]:
    record = store.read(probe.uri, VideoRecord)
    return record, [file for part in segment.parts if (file := find_cut(store, store_uri, record.video, part))]


def _clips(files: Sequence[ClipsFile]) -> list[ClipRecord]:
    """List the clips of a video by time.

    Of two that show the same, it is the one of the grid.
    """
    clips = {clip.uid: clip for file in reversed(files) for clip in file.clips}
    return sorted(clips.values(), key=lambda clip: (clip.start_seconds, clip.stop_seconds))
