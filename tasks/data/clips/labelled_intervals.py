"""Read which parts of videos people have labelled, from annotation files and the labelling page's log."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.data.clips.cutting import spans_digest, spans_of
from tasks.data.clips.label_inputs import probe_objects
from tasks.data.clips.labelled_clips import Given, given_labels
from tasks.data.clips.own_classes import own_classes
from tasks.data.labels.exported import StandingIntervals
from tasks.data.labels.labelled_rows import LabelFile, ReadFiles, read_files
from tasks.data.labels.page_files import with_page_intervals
from tasks.data.labels.places import KnownVideos, Places
from tasks.data.labels.rows import AnnotationFile
from tasks.data.labels.standing import interval_rows, standing_intervals
from tasks.data.labels.vocabulary import OwnClasses
from tasks.options import SegmentOptions
from tasks.store.objects import Store
from tasks.store.records.dataset import NOTHING
from tasks.store.records.prediction import KnownInterval
from tasks.store.records.video import ClipsFile, Interval, VideoRecord
from tasks.wording import count

log = logging.getLogger("retake")

NUM_THREADS = 16


NUM_TOLD = 5
BESIDE = "beside the videos: "
"""Before the names of files that came with the videos: a file of the store may have the same name."""

Found = dict[str, set[KnownInterval]]


@dataclass(frozen=True)
class PredictedVideos:
    """Videos to predict, by content hash with the name each was given by, and the annotation files that came with them."""

    names: Mapping[str, str]
    beside: tuple[AnnotationFile, ...] = ()


@dataclass(frozen=True)
class _Stored:
    """The annotation files of a store in order, its own classes, and the names and frame rates of its videos."""

    files: Sequence[AnnotationFile]
    own: OwnClasses
    names: Mapping[str, Sequence[str]]
    rates: Mapping[str, float]

    def read(self, places: Places, beside: Iterable[AnnotationFile] = ()) -> ReadFiles:
        return read_files([*self.files, *beside], self.own, KnownVideos(places, self.rates))


def labelled_intervals(store: Store, store_uri: str, videos: PredictedVideos) -> tuple[KnownInterval, ...]:
    """List the labelled intervals of these videos, as they were written: those of the latest file that has any of the video.

    Those of the labelling page count as a file of the time of the latest of them, and files that came with the videos count as the latest.
    The latter name videos as these were given, and only these videos. Intervals in which nothing happens are none of an action, and are
    left out.

    Lines that name no video, or classes without an id, are left out; the step `label` lists what is wrong with a line of the store's files.
    """
    stored = _stored(store, store_uri, given_labels(store, store_uri))
    places = Places((), stored.names)
    read = stored.read(places)
    found, num_unknown = _found(read, read.files, places, videos.names.keys())
    if videos.beside:
        more, number = _beside(stored, videos)
        found, num_unknown = found | more, num_unknown + number
    if num_unknown:
        log.warning("%s left out: a class has no id yet; label the videos (build_dataset) first", count(num_unknown, "labelled interval"))
    return tuple(sorted((one for own in found.values() for one in own), key=lambda one: (one.video, one.start_seconds, one.stop_seconds)))


def intervals_to_cut(store: Store, store_uri: str, given: Given, videos: Collection[str]) -> dict[str, tuple[Interval, ...]]:
    """List, by video, the labelled intervals of all files that clips can be cut around.

    Those of a later file replace the earlier ones that they cover by half or more. Intervals in which nothing happens count, too.
    """
    stored = _stored(store, store_uri, given)
    places = Places((), stored.names)
    found = standing_intervals(stored.read(places).files, places, videos)
    return {
        video: tuple(
            Interval(start_seconds=start, stop_seconds=stop)
            for start, stop in sorted({(row.start_seconds, row.stop_seconds) for row in rows})
        )
        for video, rows in found.items()
    }


def intervals_to_export(store: Store, store_uri: str, given: Given) -> StandingIntervals:
    """List the labelled intervals of all files and of the page that hold, as `intervals_to_cut` does, with their labels."""
    stored = _stored(store, store_uri, given)
    places = Places((), stored.names)
    read = stored.read(places)
    return StandingIntervals(standing_intervals(read.files, places, stored.names.keys()), read.verbs, read.nouns)


def num_uncut(
    store: Store, store_uri: str, given: Given, segment: SegmentOptions, cut: Iterable[tuple[VideoRecord, Sequence[ClipsFile]]]
) -> int:
    """Count the videos with other intervals than when clips were cut around them; `cut` has their lists of clips by `segment`."""
    part = next((one for one in segment.parts if one.cut == "intervals"), None)
    if part is None:
        return 0
    # Around intervals of a video that cannot be cut on the grid, nothing is cut.
    usable = [(record, files) for record, files in cut if not any(file.set_aside for file in files if file.options.cut == "grid")]
    made = {record.video: file.spans_digest for record, files in usable for file in files if file.options.cut == "intervals"}
    intervals = intervals_to_cut(store, store_uri, given, {record.video for record, _ in usable})
    return sum(
        made.get(record.video, spans_digest(())) != spans_digest(spans_of(record, intervals.get(record.video, ()), part))
        for record, _ in usable
    )


def _stored(store: Store, store_uri: str, given: Given) -> _Stored:
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        records = list(pool.map(lambda probe: store.read(probe.uri, VideoRecord), probe_objects(store, store_uri)))
    files = [*given.lists, *with_page_intervals(given.uploaded, given.by_hand)]
    names, rates = {record.video: record.names for record in records}, {record.video: record.fps for record in records}
    return _Stored(files, own_classes(store, store_uri), names, rates)


def _beside(stored: _Stored, videos: PredictedVideos) -> tuple[Found, int]:
    """Find what the files that came with the videos label, and tell what is wrong with them, which no other step does."""
    places = Places((), {video: (name, *stored.names.get(video, ())) for video, name in videos.names.items()})
    read = stored.read(places, [AnnotationFile(f"{BESIDE}{file.name}", file.content) for file in videos.beside])
    problems = [problem for problem in read.problems if problem.file.startswith(BESIDE)]
    for problem in problems[:NUM_TOLD]:
        log.warning("not scored against: %s: %s", problem.place, problem.reason)
    if len(problems) > NUM_TOLD:
        log.warning("and %d more such lines or files", len(problems) - NUM_TOLD)
    files = [file for file in read.files if file.name.startswith(BESIDE)]
    for file in files:
        if not any(interval_rows(file, places, videos.names.keys())):
            log.warning("no line of %s names one of these videos", file.name.removeprefix(BESIDE))
    return _found(read, files, places, videos.names.keys())


def _found(read: ReadFiles, files: Iterable[LabelFile], places: Places, videos: Collection[str]) -> tuple[Found, int]:
    """Find the intervals of the latest of `files` by video, and count those whose classes have no id."""
    found: Found = {}
    num_unknown = 0
    for file in files:
        own: Found = {}
        for video, row in interval_rows(file, places, videos):
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
    return found, num_unknown
