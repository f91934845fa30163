"""Read which parts of videos people have labelled, from the annotation files and the page's log of a store."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from tasks.dataset.intervals import not_replaced
from tasks.dataset.labelled_rows import LabelFile, ReadFiles, read_files
from tasks.dataset.page_files import with_page_intervals
from tasks.dataset.places import KnownVideos, Places
from tasks.dataset.rows import IntervalRow
from tasks.dataset.statements import Ledger
from tasks.media.label_inputs import annotation_file, annotation_objects, epic_list_objects, probe_objects
from tasks.media.label_log import read_log
from tasks.media.own_classes import own_classes
from tasks.results.dataset import NOTHING
from tasks.results.prediction import KnownInterval
from tasks.results.video import Interval, VideoRecord
from tasks.store.objects import Store
from tasks.wording import count

log = logging.getLogger("retake")

NUM_THREADS = 16


def labelled_intervals(store: Store, store_uri: str, videos: Collection[str]) -> tuple[KnownInterval, ...]:
    """List the labelled intervals of these videos, as they were written: those of the latest file that has any of the video.

    Those of the labelling page count as a file of the time of the latest of them. Intervals in which nothing happens are none of an
    action, and are left out.

    Lines that name no video, or classes without an id, are left out; the step `label` lists what is wrong with a line.
    """
    places, read = _read(store, store_uri)
    found: dict[str, set[KnownInterval]] = {}
    num_unknown = 0
    for file in read.files:
        own: dict[str, set[KnownInterval]] = {}
        for video, row in _rows(file, places, videos):
            if row.verb == NOTHING:
                own.setdefault(video, set())
                continue
            verb, noun = read.verbs.id_of(row.verb), read.nouns.id_of(row.noun)
            if verb is None or noun is None:
                num_unknown += 1
            else:
                interval = KnownInterval(
                    video=video, start_seconds=row.start_seconds, stop_seconds=row.stop_seconds, verb_class=verb, noun_class=noun
                )
                own.setdefault(video, set()).add(interval)
        found |= own
    if num_unknown:
        log.warning("%s left out: a class has no id yet; label the videos (build_dataset) first", count(num_unknown, "labelled interval"))
    return tuple(sorted((one for own in found.values() for one in own), key=lambda one: (one.video, one.start_seconds, one.stop_seconds)))


def intervals_to_cut(store: Store, store_uri: str, videos: Collection[str]) -> dict[str, tuple[Interval, ...]]:
    """List, by video, the labelled intervals of all files that clips can be cut around.

    Those of a later file replace the earlier ones that they cover by half or more. Intervals in which nothing happens count, too.
    """
    places, read = _read(store, store_uri)
    found: dict[str, list[IntervalRow]] = {}
    for file in read.files:
        own: defaultdict[str, list[IntervalRow]] = defaultdict(list)
        for video, row in _rows(file, places, videos):
            own[video].append(row)
        for video, rows in own.items():
            found[video] = [*not_replaced(found.get(video, ()), rows), *rows]
    return {
        video: tuple(
            Interval(start_seconds=start, stop_seconds=stop)
            for start, stop in sorted({(row.start_seconds, row.stop_seconds) for row in rows})
        )
        for video, rows in found.items()
    }


def _read(store: Store, store_uri: str) -> tuple[Places, ReadFiles]:
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        records = list(pool.map(lambda probe: store.read(probe.uri, VideoRecord), probe_objects(store, store_uri)))
    places = Places((), {record.video: record.names for record in records})
    lists = [annotation_file(store, one) for one in epic_list_objects(store, store_uri)]
    uploaded = [(one.modified, annotation_file(store, one)) for one in annotation_objects(store, store_uri)]
    files = lists + with_page_intervals(uploaded, Ledger.of(read_log(store, store_uri)))
    rates = KnownVideos(places, {record.video: record.fps for record in records})
    return places, read_files(files, own_classes(store, store_uri), rates)


def _rows(file: LabelFile, places: Places, videos: Collection[str]) -> Iterator[tuple[str, IntervalRow]]:
    for row in file.rows:
        if isinstance(row, IntervalRow) and (video := _video(places, row.video, file.is_of_tool)) in videos:
            yield video, row


def _video(places: Places, name: str, is_of_tool: bool) -> str:
    try:
        return places.named(name, loosely=is_of_tool)
    except ValueError:
        return ""
