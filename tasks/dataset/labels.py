"""Labels find their clips: folders first, then every annotation file in order of upload, the later one over the earlier."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.dataset.file_labels import labels_of_file
from tasks.dataset.folders import FolderLabel, folder_label
from tasks.dataset.labelled_rows import read_files
from tasks.dataset.places import Places
from tasks.dataset.rows import AnnotationFile, LabelRow
from tasks.dataset.vocabulary import ClassNames
from tasks.dataset.wording import count, quoted
from tasks.options import LabelOptions
from tasks.results.dataset import ClassRef, LabelledClip, Problem, Vocabulary
from tasks.results.video import ClipRecord

MAX_PROBLEMS_A_FILE = 1000


@dataclass(frozen=True)
class Labelling:
    """Every clip with what is known of it, and what was refused or overruled on the way."""

    clips: tuple[LabelledClip, ...]
    vocabulary: Vocabulary
    problems: tuple[Problem, ...]
    changes: tuple[Problem, ...]


@dataclass(frozen=True)
class _Label:
    verb: ClassRef
    noun: ClassRef | None
    file: str
    line: int | None

    @property
    def text(self) -> str:
        return f"{self.verb.name} {self.noun.name}" if self.noun else self.verb.name

    @property
    def origin(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def contradicts(self, other: "_Label") -> bool:
        return self.verb != other.verb or (None not in (self.noun, other.noun) and self.noun != other.noun)


@dataclass(frozen=True)
class _Source:
    name: str
    origin: str


def label_clips(
    clips: Sequence[ClipRecord], names: Mapping[str, tuple[str, ...]], files: Sequence[AnnotationFile], options: LabelOptions
) -> Labelling:
    """Give every clip the label that people brought for it, if they did.

    `names` has every video's names by its content hash; `files` come in order of upload. What cannot be used costs itself alone:
    it is in `problems` with its file, line and reason. `changes` tells which label of a folder or an earlier file was overruled.
    """
    read = read_files(files)
    problems, changes = list(read.problems), list[Problem]()
    places = Places(clips, names)
    folders, torn = _folder_labels(names, read.verbs, read.nouns)
    labels = {clip.uid: label for clip in clips if (label := _of_folder(folders.get(clip.video)))}
    sources: dict[str, _Source] = {}
    for file in read.files:
        found = labels_of_file(file.rows, places, options.min_overlap)
        problems += [Problem(file=file.name, line=line, reason=reason) for line, reason in found.refused]
        changes += _overrule(labels, {uid: _of_row(row, file.name) for uid, row in found.row_by_uid.items()})
        for video, row in found.source_by_video.items():
            old, new = sources.get(video), _Source(str(row.source), f"{file.name}:{row.line}")
            if old and old.name != new.name:
                reason = f"source {quoted(old.name)} ({old.origin}) -> {quoted(new.name)} of {quoted(row.uid)}"
                changes.append(Problem(file=file.name, line=row.line, reason=reason))
            sources[video] = new
    needy = {clip.video for clip in clips if clip.uid not in labels or labels[clip.uid].noun is None}
    problems += _folder_problems(folders, needy)
    problems += [Problem(file=min(names[video]), line=None, reason=reason) for video, reason in torn.items() if video in needy]
    return Labelling(
        clips=tuple(_labelled(clip, names[clip.video], labels.get(clip.uid), sources.get(clip.video)) for clip in clips),
        vocabulary=_vocabulary(labels.values()),
        problems=_in_order(problems, files),
        changes=_in_order(changes, files),
    )


def _folder_labels(
    names: Mapping[str, tuple[str, ...]], verbs: ClassNames, nouns: ClassNames
) -> tuple[dict[str, FolderLabel], dict[str, str]]:
    """What the folders say of each video, and why they say nothing of some."""
    found, torn = {}, {}
    for video, own in names.items():
        try:
            if label := folder_label(own, verbs, nouns):
                found[video] = label
        except ValueError as error:
            torn[video] = str(error)
    return found, torn


def _of_folder(folder: FolderLabel | None) -> _Label | None:
    return _Label(folder.verb, folder.noun, f"folder {folder.folder}", None) if folder and folder.verb else None


def _of_row(row: LabelRow, file: str) -> _Label:
    verb = ClassRef.model_validate({"id": row.verb_class, "name": row.verb})
    noun = ClassRef.model_validate({"id": row.noun_class, "name": row.noun})
    return _Label(verb, noun, file, row.line)


def _overrule(labels: dict[str, _Label], new_labels: Mapping[str, _Label]) -> list[Problem]:
    """Put `new_labels` into `labels`; tell each pair of lines that disagree once, with the number of clips."""
    overruled: Counter[tuple[_Label, _Label]] = Counter()
    for uid, new in new_labels.items():
        old = labels.get(uid)
        if old and new.contradicts(old):
            overruled[old, new] += 1
        labels[uid] = new
    return [
        Problem(file=new.file, line=new.line, reason=f"{old.text} ({old.origin}) -> {new.text} on {count(number, 'clip')}")
        for (old, new), number in overruled.items()
    ]


def _folder_problems(folders: Mapping[str, FolderLabel], needy: set[str]) -> list[Problem]:
    """One problem a folder whose videos are `needy`: they have clips that nothing labels in full."""
    videos: defaultdict[tuple[str, str], int] = defaultdict(int)
    for video in needy & folders.keys():
        if reason := folders[video].reason:
            videos[folders[video].folder, reason] += 1
    return [
        Problem(file=f"{folder}/", line=None, reason=f"{reason} ({count(number, 'video')} not fully labelled)")
        for (folder, reason), number in videos.items()
    ]


def _labelled(clip: ClipRecord, names: tuple[str, ...], label: _Label | None, source: _Source | None) -> LabelledClip:
    noun = label.noun if label else None
    return LabelledClip(
        clip=clip,
        names=names,
        source=source.name if source else clip.video,
        verb=label.verb.name if label else None,
        noun=noun.name if noun else None,
        verb_class=label.verb.id if label else None,
        noun_class=noun.id if noun else None,
        origin=label.origin if label else None,
    )


def _vocabulary(labels: Iterable[_Label]) -> Vocabulary:
    used = list(labels)
    verbs, nouns = {label.verb for label in used}, {label.noun for label in used if label.noun}
    return Vocabulary(verbs=tuple(sorted(verbs, key=lambda ref: ref.id)), nouns=tuple(sorted(nouns, key=lambda ref: ref.id)))


def _in_order(problems: Iterable[Problem], files: Sequence[AnnotationFile]) -> tuple[Problem, ...]:
    """By file in order of upload, then by line; a file with very many is cut short, with the number of the rest."""
    order = {file.name: place for place, file in enumerate(files)}
    by_file: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in sorted(problems, key=lambda p: (order.get(p.file, len(order)), p.file, p.line or 0, p.reason)):
        by_file[problem.file].append(problem)
    told = []
    for file, own in by_file.items():
        told += own[:MAX_PROBLEMS_A_FILE]
        if len(own) > MAX_PROBLEMS_A_FILE:
            told.append(Problem(file=file, line=None, reason=f"and {len(own) - MAX_PROBLEMS_A_FILE} more lines like these"))
    return tuple(told)
