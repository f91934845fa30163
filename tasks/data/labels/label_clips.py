"""Label clips by folders, then by annotation files in upload order; later labels override."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from tasks.data.labels.all_files import current_intervals, read_files
from tasks.data.labels.chapters import borders_of
from tasks.data.labels.csv_rows import ClipRow, IntervalRow
from tasks.data.labels.file_labels import FileLabels, intervals_without_clip, labels_of_file, late_ends, page_intervals_without_clip
from tasks.data.labels.folders import Certainty, FolderLabels, left_out, read_folders
from tasks.data.labels.intervals import fully_labelled, uncovered
from tasks.data.labels.page_labels import PAGE, AnyFile
from tasks.data.labels.reading import ReadFile, first_problems, in_order
from tasks.data.labels.recordings import camera_groups, correct_recordings, detect_recordings, stated_recordings
from tasks.data.labels.video_names import KnownVideos, VideoIndex, video_names
from tasks.data.labels.vocabulary import Lexicon, OwnClasses, WordTarget, near_names
from tasks.options import LabelOptions
from tasks.store.records.dataset import NO_OBJECT, NOTHING, ClassRef, LabelledClip, Problem, ReadFolder, Recording, Vocabulary, action_name
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord, VideoRecord
from tasks.wording import plain_count, printable, quoted


@dataclass(frozen=True)
class Labelling:
    """All clips with their labels, rejected and overridden lines, and hints for people.

    A class without an id is None in its clips: the store numbers `words_without_id`, and `with_ids` fills the ids in.
    """

    clips: tuple[LabelledClip, ...]
    problems: tuple[Problem, ...]
    changes: tuple[Problem, ...]
    folders: tuple[ReadFolder, ...]
    left_out: tuple[SetAside, ...]
    hints: tuple[str, ...]
    by_interval: frozenset[str]
    """The uids of the clips that an interval labels."""
    without_clip: tuple[str, ...]
    """The hints about intervals that label no clip."""
    recordings: tuple[Recording, ...] = ()
    """The recordings of several videos."""
    chosen: frozenset[str] = frozenset()
    """The videos with clips of a filled-in list of clips to label."""

    @property
    def num_labelled(self) -> int:
        """Count the labelled clips."""
        return sum(clip.action is not None for clip in self.clips)

    @property
    def words_without_id(self) -> Mapping[WordTarget, tuple[str, ...]]:
        """List the classes that need an id from the store, in order."""
        verbs = {clip.verb for clip in self.clips if clip.verb and clip.verb_class is None}
        nouns = {clip.noun for clip in self.clips if clip.noun and clip.noun_class is None}
        return {"verb": tuple(sorted(verbs)), "noun": tuple(sorted(nouns))}

    def with_ids(self, own: OwnClasses) -> "Labelling":
        """Fill in missing ids from `own`."""
        return replace(self, clips=tuple(_numbered(clip, own) for clip in self.clips))

    @property
    def vocabulary(self) -> Vocabulary:
        """List the classes in use, by id."""
        verbs = {(clip.verb_class, clip.verb) for clip in self.clips}
        nouns = {(clip.noun_class, clip.noun) for clip in self.clips}
        return Vocabulary(verbs=_refs(verbs), nouns=_refs(nouns))


@dataclass(frozen=True)
class _Label:
    """A clip's label, and its place: a folder, or a file's `line` or `item`."""

    verb: str
    noun: str
    file: str
    line: int | None
    item: str = ""

    @property
    def text(self) -> str:
        return action_name(self.verb, self.noun)

    @property
    def origin(self) -> str:
        if self.item:
            return f"{self.file}, {self.item}"
        # Lines of the page's files change with other labels, and a dataset's digest covers origins.
        if self.file == PAGE:
            return PAGE
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def contradicts(self, other: "_Label") -> bool:
        # A folder with only a verb leaves the noun to files.
        return self.verb != other.verb or (self.noun != other.noun and not (other.line is None and other.noun == NO_OBJECT))


@dataclass(frozen=True)
class _Source:
    """A video's source, and the line that names it."""

    name: str
    origin: str


@dataclass
class _Labels:
    """Labels of clips so far, sources of videos, and `changes` of labels that were overridden."""

    label_by_uid: dict[str, _Label]
    second_by_uid: dict[str, str] = field(default_factory=dict)
    groups_by_uid: dict[str, dict[str, str]] = field(default_factory=dict)
    source_by_video: dict[str, _Source] = field(default_factory=dict)
    by_interval: set[str] = field(default_factory=set)
    changes: list[Problem] = field(default_factory=list)

    def take(self, file: ReadFile, labels: FileLabels) -> None:
        """Override by the labels of the next file."""
        self._overrule(
            {uid: _Label(row.verb, row.noun, file.name, row.line, file.where.get(row.line, "")) for uid, row in labels.row_by_uid.items()}
        )
        for uid, row in labels.row_by_uid.items():
            self.second_by_uid.pop(uid, None)
            if isinstance(row, IntervalRow):
                self.by_interval.add(uid)
            else:
                self.by_interval.discard(uid)
            if row.groups:
                # A later label, such as one of the page, says nothing about the camera.
                self.groups_by_uid[uid] = self.groups_by_uid.get(uid, {}) | dict(row.groups)
        self.second_by_uid.update((uid, action_name(row.verb, row.noun)) for uid, row in labels.second_by_uid.items())
        for video, about in labels.source_by_video.items():
            old, new = self.source_by_video.get(video), _Source(str(about.source), f"{file.name}:{about.line}")
            if old and old.name != new.name:
                reason = f"source {quoted(old.name)} ({old.origin}) -> {quoted(new.name)} of {quoted(about.uid)}"
                self.changes.append(Problem(file=file.name, line=about.line, reason=reason))
            self.source_by_video[video] = new

    def _overrule(self, new_labels: Mapping[str, _Label]) -> None:
        """Replace labels, and note each pair of lines that disagree, with the number of clips."""
        num_overruled: Counter[tuple[_Label, _Label]] = Counter()
        for uid, new in new_labels.items():
            old = self.label_by_uid.get(uid)
            if old and new.contradicts(old):
                num_overruled[old, new] += 1
            self.label_by_uid[uid] = new
        for (old, new), number in num_overruled.items():
            reason = f"{old.text} ({old.origin}) -> {new.text} on {plain_count(number, 'clip')}"
            self.changes.append(Problem(file=new.file, line=new.line, item=new.item, reason=reason))

    def labelled(self, clip: ClipRecord, names: tuple[str, ...], source: str, verbs: Lexicon, nouns: Lexicon) -> LabelledClip:
        """Make the record of a clip with its label, source and groups."""
        label = self.label_by_uid.get(clip.uid)
        return LabelledClip(
            clip=clip,
            names=names,
            source=source,
            verb=label.verb if label else None,
            noun=label.noun if label else None,
            verb_class=verbs.id_of(label.verb) if label else None,
            noun_class=nouns.id_of(label.noun) if label else None,
            origin=label.origin if label else None,
            second_action=self.second_by_uid.get(clip.uid),
            groups=tuple(self.groups_by_uid.get(clip.uid, {}).items()),
        )


def label_clips(
    clips: Sequence[ClipRecord],
    names: Mapping[str, tuple[str, ...]],
    files: Sequence[AnyFile],
    options: LabelOptions,
    own: OwnClasses,
    fps: Mapping[str, float],
    touched: Set[str] = frozenset(),
    *,
    with_page: bool = True,
    videos: Sequence[VideoRecord] = (),
) -> Labelling:
    """Label all clips that a folder or an annotation file labels.

    A clip's source is that of a file's column `source`, else the first of `videos` of its recording, else its video.

    Args:
        names: every video's names, by content hash.
        files: the annotation files and the page's, in upload order.
        fps: every video's frame rate by content hash, for tools that count frames.
        touched: uids of clips about which people made more statements than these files hold, so that something may happen in them.
        with_page: whether the page's labels label clips. They are read in any case: its words and videos tell how folders are read.
        videos: the records that tell which videos are of one recording.
    """
    index = VideoIndex(clips, names)
    read = read_files(files, own, KnownVideos(index, fps))
    stated, nameless = stated_recordings(read.recordings, index)
    borders = borders_of(videos, stated)
    shown_next = {clip.next_video for clip in clips if clip.next_video}
    counted = [file for file in read.files if with_page or file.name != PAGE]
    following = current_intervals(counted, index, shown_next, borders) if shown_next else {}
    labels_by_file = [(file, labels_of_file(file, index, options.min_overlap, borders, following)) for file in read.files]
    video_by_uid = {clip.uid: clip.video for clip in clips}
    in_files = {video_by_uid[uid] for _, of_file in labels_by_file for uid in of_file.row_by_uid}
    folders = read_folders(names, in_files, read.verbs, read.nouns, own.verbs.keys())
    of_camera = {video: dict(groups) for video, groups in camera_groups(videos).items()}
    labels = _Labels(
        {clip.uid: label for clip in clips if not clip.next_video and (label := _of_folder(clip.video, folders))},
        groups_by_uid={clip.uid: of_camera[clip.video] for clip in clips if clip.video in of_camera},
    )
    problems, remarks, num_more = list(read.problems), list(read.remarks), Counter(read.num_more)
    for file, of_file in labels_by_file:
        if with_page or file.name != PAGE:
            problems += first_problems(file.name, of_file.refused, num_more, file.where)
            remarks += late_ends(file.name, of_file, file.where, index, borders=borders)
            labels.take(file, of_file)
    unused = _without_clip(labels_by_file, index, names, options.min_overlap)
    grouping = correct_recordings(detect_recordings(videos), stated, labels.source_by_video.keys(), video_names(videos))
    source_by_video = grouping.first_by_video | {video: source.name for video, source in labels.source_by_video.items()}
    for clip in clips:
        # No clip may show two sources, which can be in two splits.
        if clip.next_video and source_by_video.get(clip.video, clip.video) != source_by_video.get(clip.next_video, clip.next_video):
            labels.label_by_uid.pop(clip.uid, None)
    marked, unknown = fully_labelled(read.marks, index)
    problems += [*nameless, *unknown]
    for video, (file_name, line) in marked.items() if options.nothing_share else ():
        rows = (row for _, of_file in labels_by_file for row in of_file.intervals.get(video, ()))
        own_clips = [clip for clip in index.clips(video) if not clip.next_video]
        for clip in uncovered(own_clips, rows, labels.label_by_uid.keys() | touched, options.nothing_share):
            labels.label_by_uid[clip.uid] = _Label(NOTHING, NO_OBJECT, file_name, line)
    labelled = tuple(
        labels.labelled(clip, names[clip.video], source_by_video.get(clip.video, clip.video), read.verbs, read.nouns) for clip in clips
    )
    order = [file.name for file in files]
    return Labelling(
        clips=labelled,
        problems=in_order(problems, order, num_more),
        changes=in_order(labels.changes, order, {}),
        folders=_folders_in_use(labelled, folders),
        left_out=left_out(labelled, folders.reason_by_video),
        hints=(
            *(f"{remark.place}: {remark.reason}" for remark in [*remarks, *unused]),
            *grouping.hints,
            *_hints(labelled, read.verbs, read.nouns),
        ),
        by_interval=frozenset(labels.by_interval),
        without_clip=tuple(f"{remark.place}: {remark.reason}" for remark in unused),
        recordings=grouping.recordings,
        chosen=frozenset(
            video_by_uid[uid]
            for _, of_file in labels_by_file
            for uid, row in of_file.row_by_uid.items()
            if isinstance(row, ClipRow) and row.is_chosen
        ),
    )


def _without_clip(
    labels_by_file: Sequence[tuple[ReadFile, FileLabels]], index: VideoIndex, names: Mapping[str, tuple[str, ...]], min_overlap: float
) -> list[Problem]:
    """List the intervals of each file, and of the page, that label no clip."""
    of_page = page_intervals_without_clip((labels.intervals, labels.without_clip) for file, labels in labels_by_file if file.name == PAGE)
    unused = [(file.name, labels.without_clip, file.where) for file, labels in labels_by_file if file.name != PAGE]
    return [
        problem
        for file, rows, where in [*unused, (PAGE, of_page, {})]
        for problem in intervals_without_clip(file, rows, where, index, names, min_overlap)
    ]


def _of_folder(video: str, folders: FolderLabels) -> _Label | None:
    label = folders.label_by_video.get(video)
    return _Label(label.verb, label.noun, f"folder {label.folder}", None) if label else None


def _numbered(clip: LabelledClip, own: OwnClasses) -> LabelledClip:
    update = {}
    if clip.verb and clip.verb_class is None:
        update["verb_class"] = own.verbs[clip.verb]
    if clip.noun and clip.noun_class is None:
        update["noun_class"] = own.nouns[clip.noun]
    return clip.model_copy(update=update) if update else clip


def _refs(classes: Iterable[tuple[int | None, str | None]]) -> tuple[ClassRef, ...]:
    return tuple(
        ClassRef(id=class_id, name=name) for class_id, name in sorted((i, n) for i, n in classes if i is not None and n is not None)
    )


def _folders_in_use(clips: Iterable[LabelledClip], folders: FolderLabels) -> tuple[ReadFolder, ...]:
    """List each folder that labels clips, as it was read, with its number of clips."""
    num_clips: Counter[ReadFolder] = Counter()
    for clip in clips:
        label = folders.label_by_video.get(clip.clip.video)
        if label and clip.origin == f"folder {label.folder}":
            is_new = label.certainty >= Certainty.NEW_WORDS
            num_clips[ReadFolder(folder=printable(label.folder), verb=label.verb, noun=label.noun, is_new=is_new, num_clips=0)] += 1
    return tuple(
        folder.model_copy(update={"num_clips": number})
        for folder, number in sorted(num_clips.items(), key=lambda counted: counted[0].folder)
    )


def _hints(clips: Sequence[LabelledClip], verbs: Lexicon, nouns: Lexicon) -> tuple[str, ...]:
    """List names that may mean the same class, forgotten objects, and unused ids."""
    num_verbs = Counter(clip.verb for clip in clips if clip.verb)
    num_nouns = Counter(clip.noun for clip in clips if clip.noun and clip.noun != NO_OBJECT)
    num_alone = Counter(clip.verb for clip in clips if clip.verb and clip.noun == NO_OBJECT)
    return (
        *near_names(num_verbs, verbs),
        *near_names(num_nouns, nouns),
        *(
            f"{quoted(verb)} has no object on {plain_count(number, 'clip')} but one on {num_verbs[verb] - number}: was it forgotten?"
            for verb, number in sorted(num_alone.items())
            if number < num_verbs[verb]
        ),
        *verbs.remarks(num_verbs),
        *nouns.remarks(num_nouns),
    )
