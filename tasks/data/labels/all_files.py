"""Read all annotation files, resolve names to classes, and find the current intervals."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.data.labels.chapters import NO_BORDERS, Borders, carried_on
from tasks.data.labels.csv_rows import (
    Epic100ClassLine,
    FullyLabelledLine,
    IntervalRow,
    LabelLine,
    LabelRow,
    Line,
    NounClassLine,
    RecordingLine,
    SameAsLine,
    VerbClassLine,
)
from tasks.data.labels.formats.items import Labelled, ToolLabel, Videos
from tasks.data.labels.intervals import not_replaced
from tasks.data.labels.page_labels import AnyFile, PageFile
from tasks.data.labels.reading import ReadFile, Refusals, ToolRows, first_problems, read_annotations, split_text
from tasks.data.labels.video_names import VideoIndex
from tasks.data.labels.vocabulary import NOUNS, VERBS, Lexicon, OwnClasses, require_no_object
from tasks.errors import BadLabels
from tasks.store.records.dataset import Problem


@dataclass(frozen=True)
class ReadFiles:
    """All files in upload order, with their classes and the first rejected lines.

    `marks` and `recordings` have for each line the name of its file and the videos beside it.
    """

    files: tuple[ReadFile, ...]
    marks: tuple[tuple[str, frozenset[str], FullyLabelledLine], ...]
    recordings: tuple[tuple[str, frozenset[str], RecordingLine], ...]
    verbs: Lexicon
    nouns: Lexicon
    problems: tuple[Problem, ...]
    num_more: Mapping[str, int]
    """Further rejected lines by file."""
    remarks: tuple[Problem, ...]
    """About whole files."""


def read_files(files: Sequence[AnyFile], own: OwnClasses, videos: Videos) -> ReadFiles:
    """Read all files, then resolve names, so that ids apply across files.

    Ids come from `own`, then from the shipped EPIC names, then from EPIC's lists, then from the labels' id columns, latest file first, so that
    an id can be corrected. A line that contradicts an earlier id is rejected. Texts of other tools are split when all verbs are known.
    """
    verbs, nouns = Lexicon("verb", VERBS, own.verbs), Lexicon("noun", NOUNS, own.nouns)
    problems: list[Problem] = []
    num_more: Counter[str] = Counter()
    readable: list[ReadFile] = []
    for uploaded in files:
        try:
            readable.append(_read(uploaded, videos))
        except BadLabels as error:
            problems.append(Problem(file=uploaded.name, line=None, reason=str(error)))
    _learn_lists(readable, verbs, nouns)
    for file in readable:
        if file.is_of_tool:
            labels = [row.label for row in file.rows]
            learn_epic_55([(label.verb, label.verb_class) for label in labels if label.verb_class is not None], verbs)
            learn_epic_55([(label.noun, label.noun_class) for label in labels if label.noun_class is not None], nouns)
    for file in reversed(readable):
        file.rows = _accepted(file.rows, partial(_learn_label, file.name, verbs, nouns), file.refused)
    splits = [_split(file, verbs, nouns) for file in readable]
    for file, split in zip(readable, splits, strict=True):
        if file.labels:
            texts: list[LabelRow] = list(ToolRows(videos.beside(file.beside)).rows(_with_split(file.labels, split), file.refused))
            file.rows += _accepted(texts, partial(_learn_label, file.name, verbs, nouns), file.refused)
            file.rows.sort(key=lambda row: row.line)
    for file in readable:
        file.rows = _accepted(file.rows, partial(_by_own_names, verbs, nouns), file.refused)
        problems += first_problems(file.name, file.refused, num_more, file.where)
    return ReadFiles(
        files=tuple(readable),
        marks=tuple((file.name, file.beside, row) for file in readable for row in file.lists if isinstance(row, FullyLabelledLine)),
        recordings=tuple((file.name, file.beside, row) for file in readable for row in file.lists if isinstance(row, RecordingLine)),
        verbs=verbs,
        nouns=nouns,
        problems=tuple(problems),
        num_more=num_more,
        remarks=tuple(Problem(file=file.name, line=None, reason=remark) for file in readable for remark in file.remarks),
    )


def _read(file: AnyFile, videos: Videos) -> ReadFile:
    if isinstance(file, PageFile):
        return file.read()
    videos = videos.beside(file.beside)
    read = read_annotations(file, videos)
    read.rows += ToolRows(videos).rows((item for item in read.labels if not item.label.text), read.refused)
    read.labels = deque(item for item in read.labels if item.label.text)
    return read


def _learn_lists(files: Sequence[ReadFile], verbs: Lexicon, nouns: Lexicon) -> None:
    for file in files:
        for row in file.lists:
            try:
                _learn_class(row, f"{file.name} line {row.line}", verbs, nouns)
            except ValueError as error:
                file.refused.add(row.line, str(error))
    for file in files:
        learn_epic_100(file.name, [row for row in file.lists if isinstance(row, Epic100ClassLine)], verbs, nouns)


def _split(file: ReadFile, verbs: Lexicon, nouns: Lexicon) -> dict[ToolLabel, ToolLabel]:
    """Split the text of each label, and refuse lines whose text cannot be split."""
    split: dict[ToolLabel, ToolLabel] = {}
    reasons: dict[ToolLabel, str] = {}
    for item in file.labels:
        if item.label not in split and item.label not in reasons:
            try:
                verb, noun = split_text(item.label.text, verbs, nouns)
                split[item.label] = item.label._replace(verb=verb, noun=noun, text="")
            except ValueError as error:
                reasons[item.label] = str(error)
        if item.label in reasons:
            file.refused.add(item.line, reasons[item.label])
    return split


def _with_split(labels: deque[Labelled], split: Mapping[ToolLabel, ToolLabel]) -> Iterator[Labelled]:
    """Yield the labels with their texts split, and free the memory of each."""
    while labels:
        item = labels.popleft()
        if item.label in split:
            yield item.with_label(split[item.label])


def _accepted(rows: list[LabelRow], change: Callable[[LabelLine], LabelLine], refused: Refusals) -> list[LabelRow]:
    """Apply `change` to each label once, and keep the rows whose label it accepts."""
    good: list[LabelRow] = []
    answers: dict[int, LabelLine | str] = {}
    for row in rows:
        answer = answers.get(id(row.label))
        if answer is None:
            try:
                answer = change(row.label)
            except ValueError as error:
                answer = str(error)
            answers[id(row.label)] = answer
        if isinstance(answer, str):
            refused.add(row.line, answer)
        else:
            good.append(row if answer is row.label else row._replace(label=answer))
    return good


def _learn_class(row: Line, where: str, verbs: Lexicon, nouns: Lexicon) -> None:
    if isinstance(row, VerbClassLine):
        verbs.define(row.class_key, row.verb_id, where)
        for synonym in row.verbs:
            verbs.add_synonym(synonym, row.verb_id)
    elif isinstance(row, NounClassLine):
        nouns.define(row.class_key, row.noun_id, where)
        for synonym in row.nouns:
            nouns.add_synonym(synonym, row.noun_id)
    elif isinstance(row, SameAsLine):
        (verbs if row.target == "verb" else nouns).merge(row.name, row.same_as, where)


def _learn_label(file: str, verbs: Lexicon, nouns: Lexicon, row: LabelLine) -> LabelLine:
    where = f"{file} line {row.line}"
    verbs.learn(row.verb, row.verb_class, where)
    nouns.learn(row.noun, row.noun_class, where)
    return row


def _by_own_names(verbs: Lexicon, nouns: Lexicon, row: LabelLine) -> LabelLine:
    verb, noun = verbs.find(row.verb, row.verb_class), nouns.find(row.noun, row.noun_class)
    require_no_object(verb, noun)
    return row if (verb, noun) == (row.verb, row.noun) else row.model_copy(update={"verb": verb, "noun": noun})


def learn_epic_100(file: str, rows: Sequence[Epic100ClassLine], verbs: Lexicon, nouns: Lexicon) -> None:
    """Map all names of a class to the class of a known one."""
    if not rows:
        return
    lexicon = _lexicon_of(file, rows, verbs, nouns)
    for row in rows:
        names = (row.key, *row.instances)
        key = next((name for name in names if lexicon.is_known(name)), row.key)
        for name in names:
            lexicon.suggest(name, key)


def learn_epic_55(names: Iterable[tuple[str, int]], lexicon: Lexicon) -> None:
    """Let the names that segments give to one class id mean one class.

    The class has the known name of the id, else the most frequent. Segments have the words of narrations, such as `pick-up` for 0.
    """
    by_id: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for name, class_id in names:
        by_id[class_id][name] += 1
    for class_id, named in sorted(by_id.items()):
        new = [name for name, _ in sorted(named.items(), key=lambda counted: (-counted[1], counted[0])) if not lexicon.is_known(name)]
        if lexicon.name_of(class_id) is None and new:
            lexicon.define(new[0], class_id, "EPIC-KITCHENS-55")
        if lexicon.name_of(class_id) is not None:
            for name in named:
                lexicon.add_synonym(name, class_id)


def _lexicon_of(file: str, rows: Sequence[Epic100ClassLine], verbs: Lexicon, nouns: Lexicon) -> Lexicon:
    # A list does not say whether it is of verbs or nouns.
    plain = file.casefold()
    if ("verb" in plain) != ("noun" in plain):
        return verbs if "verb" in plain else nouns
    return verbs if sum(row.key in verbs for row in rows) >= sum(row.key in nouns for row in rows) else nouns


def current_intervals(
    files: Iterable[ReadFile], index: VideoIndex, videos: Collection[str], borders: Borders = NO_BORDERS
) -> dict[str, list[IntervalRow]]:
    """List intervals by video, without those that a later file covers by half.

    The rest of an interval after one of `borders` is an interval of the next video, too.
    """
    by_video: dict[str, list[IntervalRow]] = {}
    for file in files:
        own: defaultdict[str, list[IntervalRow]] = defaultdict(list)
        for video, row in interval_rows(file, index, videos, borders):
            own[video].append(row)
        for video, rows in own.items():
            by_video[video] = [*not_replaced(by_video.get(video, ()), rows), *rows]
    return by_video


def interval_rows(
    file: ReadFile, index: VideoIndex, videos: Collection[str], borders: Borders = NO_BORDERS
) -> Iterator[tuple[str, IntervalRow]]:
    """Yield a file's intervals that lie or go on in these videos, with their videos."""
    index = index.beside(file.beside)
    for row in file.rows:
        if isinstance(row, IntervalRow):
            try:
                video = index.named(row.video, loosely=file.is_of_tool)
            except ValueError:
                continue
            if video in videos:
                yield video, row
            if video in borders:
                yield from (rest for rest in carried_on(video, row, borders) if rest[0] in videos)
