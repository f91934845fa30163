"""Gather the labels and labelled intervals of folders, annotation files and the page Label."""

import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from tasks.data.clips.label_inputs import (
    annotation_file,
    annotation_files,
    epic_list_objects,
    in_threads,
    own_classes,
    probe_objects,
    read_log,
    video_records,
)
from tasks.data.clips.stored_clips import find_cut
from tasks.data.labels.all_files import ReadFiles, current_intervals, interval_rows, read_files
from tasks.data.labels.chapters import Borders, borders_of, crossing
from tasks.data.labels.csv_rows import AnnotationFile, IntervalRow
from tasks.data.labels.exported import CurrentIntervals
from tasks.data.labels.intervals import without
from tasks.data.labels.label_clips import Labelling, label_clips
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.page_labels import AnyFile, clipped_intervals, page_labels, touched_clips, with_page_intervals, with_page_labels
from tasks.data.labels.reading import ReadFile
from tasks.data.labels.recordings import stated_recordings
from tasks.data.labels.video_names import KnownVideos, VideoIndex
from tasks.data.labels.vocabulary import Lexicon, OwnClasses
from tasks.data.video.child import run_child
from tasks.errors import BadConfiguration, BadInput, RetakeError, Unavailable
from tasks.options import LabelOptions, SegmentOptions
from tasks.settings import StoreSettings, load
from tasks.store.objects import Store, StoredObject
from tasks.store.records.dataset import NOTHING, NUM_EPIC_NOUNS, NUM_EPIC_VERBS, ClassRef, Vocabulary
from tasks.store.records.prediction import KnownInterval
from tasks.store.records.video import ClipRecord, ClipsFile, Interval, VideoRecord
from tasks.wording import count

log = logging.getLogger("retake")

NUM_LOGGED = 5
BESIDE = "beside the videos/"
"""Before the names of files that came with the videos: a file of the store may have the same name. A folder leaves the file its own name."""

PACKAGES = Path(__file__).parents[3]
CHILD_SECONDS, CHILD_BYTES = 300, 1 << 30
"""Limits of a child that reads the files of a store. A single file takes at most 10 s of the processor and 500 MB."""
MAX_ANSWER = 256 << 20
"""Characters of a child's answer; 20,000 labelled clips have 15 million."""
NO_MEMORY = ("MemoryError", "Cannot allocate memory", "SystemError: ", "failed to map segment from shared object")
"""Python without memory raises MemoryError, an OSError, a SystemError of C code, or an ImportError of a library."""
LABELLING: TypeAdapter[Labelling] = TypeAdapter(Labelling)

WHOLE = Interval(start_seconds=0, stop_seconds=864_000)
"""Covers a video of any length."""


@dataclass(frozen=True)
class Given:
    """EPIC's class lists, annotation files with their times of upload, and the page's statements."""

    lists: Sequence[AnnotationFile]
    uploaded: Sequence[tuple[str, AnnotationFile]]
    by_hand: Ledger


@dataclass(frozen=True)
class LabelledStore:
    """The labels of all clips of one recipe, the videos with clips, and further inputs."""

    labelling: Labelling
    cut: Sequence[tuple[VideoRecord, Sequence[ClipsFile]]]
    given: Given
    own: OwnClasses


def given_labels(store: Store, store_uri: str) -> Given:
    """Read all files and statements from which labels are gathered."""
    return Given(_epic_lists(store, store_uri), annotation_files(store, store_uri), Ledger.of(read_log(store, store_uri)))


def epic_classes(store: Store, store_uri: str) -> Vocabulary:
    """Read EPIC's class lists in the store, which name classes that no dataset has."""
    read = read_files(_epic_lists(store, store_uri), OwnClasses(), KnownVideos(VideoIndex((), {}), {}))

    def refs(names: Lexicon, number: int) -> tuple[ClassRef, ...]:
        return tuple(ClassRef(id=class_id, name=name) for class_id in range(number) if (name := names.name_of(class_id)))

    return Vocabulary(verbs=refs(read.verbs, NUM_EPIC_VERBS), nouns=refs(read.nouns, NUM_EPIC_NOUNS))


def _epic_lists(store: Store, store_uri: str) -> list[AnnotationFile]:
    return [annotation_file(store, listed) for listed in epic_list_objects(store, store_uri)]


def label_now(store: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions, *, with_page: bool = True) -> LabelledStore:
    """Label every clip that was cut with `segment`.

    Nothing is written, and words without an id keep none. Without the page, folders and files alone label.

    Raises:
        BadInput: no video has been cut by this recipe.
    """
    videos = in_threads(partial(_read, store, store_uri, segment), probe_objects(store, store_uri))
    cut = [(record, files) for record, files in videos if files]
    clips = [clip for _, files in cut for clip in _clips(files)]
    if not cut:
        raise BadInput(f"no clips in {store_uri} cut by this recipe; run ingest_videos with the same cutting options first")
    if segment.cut == "intervals" and not clips:
        raise BadInput(f"no labelled interval in {store_uri} is cut; label intervals and run ingest_videos, or choose cut=grid")
    given = given_labels(store, store_uri)
    by_hand = given.by_hand
    of_page = page_labels(by_hand, clips, options.min_overlap), clipped_intervals(by_hand, clips), by_hand.merges
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
        videos=[record for record, _ in videos],
    )
    log.info("%s, %d labelled; %s", count(len(labelling.clips), "clip"), labelling.num_labelled, count(len(files), "annotation file"))
    return LabelledStore(labelling, cut, given, own)


def labelled_by_files(store: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions) -> Labelling:
    """Label clips by folders and files without the page; keep labelled clips and problems alone."""
    labelling = label_now(store, store_uri, segment, options, with_page=False).labelling
    clips = tuple(clip for clip in labelling.clips if clip.verb)
    return replace(
        labelling, clips=clips, changes=(), folders=(), left_out=(), hints=(), by_interval=frozenset(), without_clip=(), recordings=()
    )


def labelled_in_child(_: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions) -> Labelling:
    """Call `labelled_by_files` in a child process with limits of time and memory.

    Raises:
        BadInput: as there, or the files need more time or memory than a child has, or it fails in another way, which is logged.
        Unavailable: the store does not answer, or no child can be started.
    """
    command = [sys.executable, "-m", "tasks.data.clips.gather_labels", store_uri, segment.model_dump_json(), options.model_dump_json()]
    variables = {name: value for name, value in os.environ.items() if name.startswith("RETAKE_STORE_") or name == "SSL_CERT_FILE"}
    status, text = run_child(
        command, folder=PACKAGES, memory_bytes=CHILD_BYTES, time_limit_seconds=CHILD_SECONDS, read=_answer, variables=variables
    )
    answer = text.rstrip("\n").rpartition("\n")[2]
    if status == 0:
        return LABELLING.validate_json(answer)
    if status in (Unavailable.exit_code, BadConfiguration.exit_code):
        raise Unavailable(answer)
    if status == BadInput.exit_code:
        raise BadInput(answer)
    remedy = "run build_dataset, whose task label names the worst"
    if status is None or status < 0 or any(words in text for words in NO_MEMORY):
        limits = f"{CHILD_SECONDS} seconds or {CHILD_BYTES >> 20} MiB"
        raise BadInput(f"the label files of {store_uri} take more than {limits} to read; {remedy}")
    log.error("the child that reads label files failed: %s", text[-10_000:])
    raise BadInput(f"the label files of {store_uri} cannot be read ({answer}); {remedy}")


def _answer(stream: IO[str]) -> str:
    text = stream.read(MAX_ANSWER)
    if len(text) == MAX_ANSWER:
        raise BadInput("the labels of the store's files are too many for the page")
    return text


def main() -> int:
    """Answer as a child of `labelled_in_child`."""
    os.nice(10)  # people wait for the caller
    store_uri, segment, options = sys.argv[1:]
    try:
        store = Store.from_settings(load(StoreSettings))
        labelling = labelled_by_files(
            store, store_uri, SegmentOptions.model_validate_json(segment), LabelOptions.model_validate_json(options)
        )
    except RetakeError as error:
        sys.stdout.write(str(error).replace("\n", " "))
        return error.exit_code
    # All ASCII: the caller reads by its own locale.
    sys.stdout.write(json.dumps(LABELLING.dump_python(labelling, mode="json")))
    return 0


def _read(store: Store, store_uri: str, segment: SegmentOptions, probe: StoredObject) -> tuple[VideoRecord, list[ClipsFile]]:
    record = store.read(probe.uri, VideoRecord)
    return record, [file for part in segment.parts if (file := find_cut(store, store_uri, record.video, part))]


def _clips(files: Sequence[ClipsFile]) -> list[ClipRecord]:
    """List the clips of a video by time."""
    # Of two clips of the same part, that of the grid stays.
    clips = {clip.uid: clip for file in reversed(files) for clip in file.clips}
    return sorted(clips.values(), key=lambda clip: (clip.start_seconds, clip.stop_seconds))


@dataclass(frozen=True)
class PredictedVideos:
    """Names of videos to predict, by content hash, and annotation files that came with them."""

    names: Mapping[str, str]
    beside: tuple[AnnotationFile, ...] = ()


@dataclass(frozen=True)
class LabelledParts:
    """The labelled intervals of videos, and the parts that a file labels, even as nothing.

    Intervals of a class without an id are in neither.
    """

    intervals: tuple[KnownInterval, ...]
    covered: Mapping[str, tuple[Interval, ...]]


@dataclass
class _VideoLabels:
    """A video's labelled intervals in one file, its labelled parts, and intervals without ids."""

    intervals: set[KnownInterval] = field(default_factory=set)
    covered: list[Interval] = field(default_factory=list)
    without_id: list[Interval] = field(default_factory=list)


@dataclass(frozen=True)
class _Stored:
    """The annotation files of a store in order, its own classes, and its videos."""

    files: Sequence[AnyFile]
    own: OwnClasses
    records: Sequence[VideoRecord]
    names: Mapping[str, Sequence[str]]
    rates: Mapping[str, float]

    def read(self, names: Mapping[str, Sequence[str]], beside: Iterable[AnnotationFile] = ()) -> tuple[VideoIndex, ReadFiles]:
        index = VideoIndex((), names)
        return index, read_files([*self.files, *beside], self.own, KnownVideos(index, self.rates))


def labelled_intervals(store: Store, store_uri: str, videos: PredictedVideos) -> LabelledParts:
    """List the labelled intervals of each video in the latest file that has any.

    Intervals of the labelling page count as a file of the time of the latest of them. Files that came with the videos count as the latest;
    they name videos as these were given, and only these. Intervals in which nothing happens, lines that name no video, and classes without
    an id are left out. The step `label` lists the faults of lines in the store's files.
    """
    stored = _stored(store, store_uri, given_labels(store, store_uri))
    index, read = stored.read(stored.names)
    latest, whole = _latest_labels(read, read.files, index, videos.names.keys())
    if videos.beside:
        beside, whole_beside = _labels_beside(stored, videos)
        latest, whole = latest | beside, whole_beside | (whole - beside.keys())
    for video in whole:
        latest.setdefault(video, _VideoLabels()).covered = [WHOLE]
    if num_without_id := sum(len(labels.without_id) for labels in latest.values()):
        log.warning(
            "%s left out: a class has no id yet; label the videos (build_dataset) first", count(num_without_id, "labelled interval")
        )
    intervals = (interval for labels in latest.values() for interval in labels.intervals)
    in_order = sorted(intervals, key=lambda interval: (interval.video, interval.start_seconds, interval.stop_seconds))
    return LabelledParts(tuple(in_order), {video: tuple(without(own.covered, own.without_id)) for video, own in latest.items()})


def intervals_to_cut(store: Store, store_uri: str, given: Given, videos: Collection[str]) -> dict[str, tuple[Interval, ...]]:
    """List, by video, the labelled intervals of all files that clips can be cut around.

    An interval of a later file replaces those that it covers by half or more. Intervals in which nothing happens count, too. An interval that
    goes on in the next chapter of a recording is listed for both videos, and once more as a whole.
    """
    stored = _stored(store, store_uri, given)
    index, read = stored.read(stored.names)
    stated, _ = stated_recordings(read.recordings, index)
    borders = borders_of(stored.records, stated)
    wanted = {*videos, *(borders[video].next_video for video in videos if video in borders)}
    by_video = current_intervals(read.files, index, wanted, borders)
    return {video: tuple(_to_cut(video, by_video, borders)) for video in by_video if video in videos}


def _to_cut(video: str, by_video: Mapping[str, Sequence[IntervalRow]], borders: Borders) -> Iterator[Interval]:
    for start, stop in sorted({(row.start_seconds, row.stop_seconds) for row in by_video[video]}):
        yield Interval(start_seconds=start, stop_seconds=stop)
    if border := borders.get(video):
        whole = crossing(by_video[video], by_video.get(border.next_video, ()), border.seconds)
        for start, stop in sorted({(row.start_seconds, row.stop_seconds) for row in whole}):
            yield Interval(start_seconds=start, stop_seconds=stop, next_video=border.next_video)


def intervals_to_export(store: Store, store_uri: str, given: Given) -> CurrentIntervals:
    """List the intervals of `intervals_to_cut` of all videos, with their labels."""
    stored = _stored(store, store_uri, given)
    index, read = stored.read(stored.names)
    return CurrentIntervals(current_intervals(read.files, index, stored.names.keys()), read.verbs, read.nouns)


def _stored(store: Store, store_uri: str, given: Given) -> _Stored:
    records = video_records(store, store_uri)
    files = [*given.lists, *with_page_intervals(given.uploaded, given.by_hand)]
    names, rates = {record.video: record.names for record in records}, {record.video: record.fps for record in records}
    return _Stored(files, own_classes(store, store_uri), records, names, rates)


def _labels_beside(stored: _Stored, videos: PredictedVideos) -> tuple[dict[str, _VideoLabels], set[str]]:
    """Find the labels in files that came with the videos, and log these files' faults."""
    names = {video: (name, *stored.names.get(video, ())) for video, name in videos.names.items()}
    index, read = stored.read(names, [replace(file, name=f"{BESIDE}{file.name}") for file in videos.beside])
    problems = [problem for problem in read.problems if problem.file.startswith(BESIDE)]
    for problem in problems[:NUM_LOGGED]:
        log.warning("not scored against: %s: %s", problem.place, problem.reason)
    if len(problems) > NUM_LOGGED:
        log.warning("and %d more such lines or files", len(problems) - NUM_LOGGED)
    files = [file for file in read.files if file.name.startswith(BESIDE)]
    for file in files:
        if file.rows and not any(interval_rows(file, index, videos.names.keys())):
            log.warning("no line of %s names one of these videos", file.name.removeprefix(BESIDE))
    return _latest_labels(read, files, index, videos.names.keys())


def _latest_labels(
    read: ReadFiles, files: Iterable[ReadFile], index: VideoIndex, videos: Collection[str]
) -> tuple[dict[str, _VideoLabels], set[str]]:
    """Find the labels of each video in its latest file, and the fully labelled videos."""
    latest: dict[str, _VideoLabels] = {}
    for file in files:
        own = defaultdict[str, _VideoLabels](_VideoLabels)
        for video, row in interval_rows(file, index, videos):
            # The latest file counts for a video, even if it has new classes alone.
            labels, interval = own[video], Interval(start_seconds=row.start_seconds, stop_seconds=row.stop_seconds)
            if row.verb == NOTHING:
                labels.covered.append(interval)
                continue
            verb, noun = read.verbs.id_of(row.verb), read.nouns.id_of(row.noun)
            if verb is None or noun is None:
                labels.without_id.append(interval)
            else:
                labels.covered.append(interval)
                labels.intervals.add(KnownInterval(video=video, **interval.model_dump(), verb_class=verb, noun_class=noun))
        latest |= own
    is_whole: dict[str, bool] = {}
    for _, beside, mark in read.marks:
        # The step `label` lists names that fit no video.
        with suppress(ValueError):
            is_whole[index.beside(beside).named(mark.video)] = mark.fully_labelled
    return latest, {video for video in videos if is_whole.get(video)}


if __name__ == "__main__":
    sys.exit(main())
