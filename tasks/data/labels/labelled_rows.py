"""Read all annotation files and resolve the names in their labels to classes."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tasks.data.labels.epic_names import learn_epic_55, learn_epic_100
from tasks.data.labels.formats.found import Found, Said, Videos
from tasks.data.labels.problems import Refusals, first_problems
from tasks.data.labels.reading import read_annotations
from tasks.data.labels.rows import (
    AnnotationFile,
    ClipRow,
    Epic100ClassRow,
    FullyLabelledRow,
    IntervalRow,
    LabelRow,
    NounClassRow,
    Row,
    SameAsRow,
    VerbClassRow,
)
from tasks.data.labels.tool_labels import ToolLabels, split_text
from tasks.data.labels.vocabulary import NOUNS, VERBS, Lexicon, OwnClasses, require_no_object
from tasks.errors import BadLabels
from tasks.store.records.dataset import Problem

AnyLabel = ClipRow | IntervalRow


@dataclass(frozen=True)
class LabelFile:
    """A file's labels, with canonical class names as `verb` and `noun`.

    `is_of_tool` marks the file of another tool; `where` says for its items where they are, if lines do not.
    """

    name: str
    rows: tuple[AnyLabel, ...]
    is_of_tool: bool
    where: Mapping[int, str]


@dataclass(frozen=True)
class FileSummary:
    """How a file was read: as which layout, with how many lines or items."""

    name: str
    layout: str
    num_rows: int


@dataclass(frozen=True)
class ReadFiles:
    """All files in upload order, with their classes and the first rejected lines.

    `num_more` counts further rejected lines by file. `remarks` are about how whole files were read. `marks` say of videos whether they are fully labelled, each with the name of its file.
    """

    files: tuple[LabelFile, ...]
    marks: tuple[tuple[str, FullyLabelledRow], ...]
    verbs: Lexicon
    nouns: Lexicon
    problems: tuple[Problem, ...]
    num_more: Mapping[str, int]
    summaries: tuple[FileSummary, ...]
    remarks: tuple[Problem, ...]


@dataclass
class _File:
    """A file while names are resolved; `found` are labels of another tool whose text is not yet split."""

    name: str
    layout: str
    where: Mapping[int, str]
    refused: Refusals
    rows: list[AnyLabel] = field(default_factory=list)
    lists: list[Row] = field(default_factory=list)
    found: deque[Found] = field(default_factory=deque)
    is_of_tool: bool = False
    remarks: tuple[str, ...] = ()


def read_files(files: Sequence[AnnotationFile], own: OwnClasses, videos: Videos) -> ReadFiles:
    """Read all files, then resolve names, so that ids apply across files.

    Ids come from `own`, then from the shipped EPIC names, then from EPIC's lists, then from the labels' id columns, latest file first, so that
    an id can be corrected. A line that contradicts an id known by then is rejected. Texts of other tools are split when all verbs are known.
    """
    verbs, nouns = Lexicon("verb", VERBS, own.verbs), Lexicon("noun", NOUNS, own.nouns)
    problems: list[Problem] = []
    num_more: Counter[str] = Counter()
    readable: list[_File] = []
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
    split = [_split(file, verbs, nouns) for file in readable]
    for file, said in zip(readable, split, strict=True):
        if file.found:
            texts: list[AnyLabel] = list(ToolLabels(videos).rows(_said(file.found, said), file.refused))
            file.rows += _accepted(texts, partial(_learn_label, file.name, verbs, nouns), file.refused)
            file.rows.sort(key=lambda row: row.line)
    for file in readable:
        file.rows = _accepted(file.rows, partial(_by_own_names, verbs, nouns), file.refused)
        problems += first_problems(file.name, file.refused, num_more, file.where)
    return ReadFiles(
        files=tuple(LabelFile(file.name, tuple(file.rows), file.is_of_tool, file.where) for file in readable if file.rows),
        marks=tuple((file.name, row) for file in readable for row in file.lists if isinstance(row, FullyLabelledRow)),
        verbs=verbs,
        nouns=nouns,
        problems=tuple(problems),
        num_more=num_more,
        summaries=tuple(FileSummary(file.name, file.layout, len(file.rows) + len(file.lists)) for file in readable),
        remarks=tuple(Problem(file=file.name, line=None, reason=remark) for file in readable for remark in file.remarks),
    )


def _read(file: AnnotationFile, videos: Videos) -> _File:
    read = read_annotations(file, videos)
    taken = _File(read.name, read.layout, read.where, read.refused, is_of_tool=bool(read.found), remarks=read.remarks)
    for row in read.rows:
        if isinstance(row, AnyLabel):
            taken.rows.append(row)
        else:
            taken.lists.append(row)
    taken.rows += ToolLabels(videos).rows((item for item in read.found if not item.said.text), taken.refused)
    taken.found.extend(item for item in read.found if item.said.text)
    return taken


def _learn_lists(files: Sequence[_File], verbs: Lexicon, nouns: Lexicon) -> None:
    for file in files:
        for row in file.lists:
            try:
                _learn_class(row, f"{file.name} line {row.line}", verbs, nouns)
            except ValueError as error:
                file.refused.add(row.line, str(error))
    for file in files:
        learn_epic_100(file.name, [row for row in file.lists if isinstance(row, Epic100ClassRow)], verbs, nouns)


def _split(of_file: _File, verbs: Lexicon, nouns: Lexicon) -> dict[Said, Said]:
    """Split the text of each label; lines with one that cannot be are refused."""
    split: dict[Said, Said] = {}
    reasons: dict[Said, str] = {}
    for item in of_file.found:
        if item.said not in split and item.said not in reasons:
            try:
                verb, noun = split_text(item.said.text, verbs, nouns)
                split[item.said] = item.said._replace(verb=verb, noun=noun, text="")
            except ValueError as error:
                reasons[item.said] = str(error)
        if item.said in reasons:
            of_file.refused.add(item.line, reasons[item.said])
    return split


def _said(found: deque[Found], split: Mapping[Said, Said]) -> Iterator[Found]:
    """Yield the labels with their texts split, and let go of each: there may be very many."""
    while found:
        item = found.popleft()
        if item.said in split:
            yield item.saying(split[item.said])


def _accepted(rows: list[AnyLabel], change: Callable[[LabelRow], LabelRow], refused: Refusals) -> list[AnyLabel]:
    """Apply `change` to each label and keep the rows that it accepts.

    It is called once per label shared by many rows.
    """
    good: list[AnyLabel] = []
    answers: dict[int, LabelRow | str] = {}
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


def _learn_class(row: Row, where: str, verbs: Lexicon, nouns: Lexicon) -> None:
    if isinstance(row, VerbClassRow):
        verbs.define(row.class_key, row.verb_id, where)
        for synonym in row.verbs:
            verbs.add_synonym(synonym, row.verb_id)
    elif isinstance(row, NounClassRow):
        nouns.define(row.class_key, row.noun_id, where)
        for synonym in row.nouns:
            nouns.add_synonym(synonym, row.noun_id)
    elif isinstance(row, SameAsRow):
        (verbs if row.target == "verb" else nouns).merge(row.name, row.same_as, where)


def _learn_label(file: str, verbs: Lexicon, nouns: Lexicon, row: LabelRow) -> LabelRow:
    where = f"{file} line {row.line}"
    verbs.learn(row.verb, row.verb_class, where)
    nouns.learn(row.noun, row.noun_class, where)
    return row


def _by_own_names(verbs: Lexicon, nouns: Lexicon, row: LabelRow) -> LabelRow:
    verb, noun = verbs.find(row.verb, row.verb_class), nouns.find(row.noun, row.noun_class)
    require_no_object(verb, noun)
    return row if (verb, noun) == (row.verb, row.noun) else row.model_copy(update={"verb": verb, "noun": noun})
