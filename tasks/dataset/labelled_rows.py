"""Read all annotation files and resolve the names in their labels to classes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tasks.dataset.epic_100 import learn_epic_100
from tasks.dataset.formats.found import Found, Videos
from tasks.dataset.problems import first_problems
from tasks.dataset.rows import (
    AnnotationFile,
    Epic100ClassRow,
    IntervalRow,
    LabelRow,
    NounClassRow,
    Row,
    SameAsRow,
    VerbClassRow,
    read_annotations,
)
from tasks.dataset.tool_labels import ToolLabels, split_text
from tasks.dataset.vocabulary import NOUNS, VERBS, Lexicon, OwnClasses
from tasks.errors import BadLabels
from tasks.results.dataset import Problem

AnyLabel = LabelRow | IntervalRow


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

    `num_more` counts further rejected lines by file.
    """

    files: tuple[LabelFile, ...]
    verbs: Lexicon
    nouns: Lexicon
    problems: tuple[Problem, ...]
    num_more: Mapping[str, int]
    summaries: tuple[FileSummary, ...]


@dataclass
class _File:
    """A file while names are resolved; `found` are labels of another tool whose text is not yet split."""

    layout: str
    where: Mapping[int, str]
    refused: list[tuple[int, str]]
    rows: list[AnyLabel] = field(default_factory=list)
    lists: list[Row] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    is_of_tool: bool = False


def read_files(files: Sequence[AnnotationFile], own: OwnClasses, videos: Videos) -> ReadFiles:
    """Read all files, then resolve names, so that ids apply across files.

    Ids come from `own`, then from the shipped EPIC names, then from EPIC's lists, then from the labels' id columns, latest file first, so that
    an id can be corrected. A line that contradicts an id known by then is rejected. Texts of other tools are split when all verbs are known.
    """
    verbs, nouns = Lexicon("verb", VERBS, own.verbs), Lexicon("noun", NOUNS, own.nouns)
    problems: list[Problem] = []
    num_more: Counter[str] = Counter()
    told: dict[str, _File] = {}
    for file in files:
        try:
            read = read_annotations(file, videos)
        except BadLabels as error:
            problems.append(Problem(file=file.name, line=None, reason=str(error)))
            continue
        of_file = told[file.name] = _File(read.layout, read.where, list(read.refused))
        of_file.rows = [row for row in read.rows if isinstance(row, LabelRow | IntervalRow)]
        of_file.lists = [row for row in read.rows if not isinstance(row, LabelRow | IntervalRow)]
        of_file.is_of_tool = bool(read.found)
        of_file.rows += ToolLabels(videos).rows((item for item in read.found if not item.said.text), of_file.refused)
        of_file.found = [item for item in read.found if item.said.text]
    _learn_lists(told, verbs, nouns)
    for name in reversed(told):
        told[name].rows = _accepted(told[name].rows, partial(_learn_label, name, verbs, nouns), told[name].refused)
    split = {name: list(_split(of_file, verbs, nouns)) for name, of_file in told.items()}
    for name, of_file in told.items():
        texts: list[AnyLabel] = list(ToolLabels(videos).rows(split[name], of_file.refused))
        if texts:
            of_file.rows += _accepted(texts, partial(_learn_label, name, verbs, nouns), of_file.refused)
            of_file.rows.sort(key=lambda row: row.line)
        of_file.rows = _accepted(of_file.rows, partial(_by_own_names, verbs, nouns), of_file.refused)
        problems += first_problems(name, of_file.refused, num_more, of_file.where)
    return ReadFiles(
        files=tuple(
            LabelFile(name, tuple(of_file.rows), of_file.is_of_tool, of_file.where) for name, of_file in told.items() if of_file.rows
        ),
        verbs=verbs,
        nouns=nouns,
        problems=tuple(problems),
        num_more=num_more,
        summaries=tuple(FileSummary(name, of_file.layout, len(of_file.rows) + len(of_file.lists)) for name, of_file in told.items()),
    )


def _learn_lists(told: Mapping[str, _File], verbs: Lexicon, nouns: Lexicon) -> None:
    for name, of_file in told.items():
        for row in of_file.lists:
            try:
                _learn_class(row, f"{name} line {row.line}", verbs, nouns)
            except ValueError as error:
                of_file.refused.append((row.line, str(error)))
    for name, of_file in told.items():
        learn_epic_100(name, [row for row in of_file.lists if isinstance(row, Epic100ClassRow)], verbs, nouns)


def _split(of_file: _File, verbs: Lexicon, nouns: Lexicon) -> Iterator[Found]:
    """Yield the labels with their texts split; each text is split once."""
    answers: dict[str, tuple[str, str] | None] = {}
    reasons: dict[str, str] = {}
    for item in of_file.found:
        text = item.said.text
        if text not in answers:
            try:
                answers[text] = split_text(text, verbs, nouns)
            except ValueError as error:
                answers[text], reasons[text] = None, str(error)
        if answer := answers[text]:
            yield item._replace(said=item.said._replace(verb=answer[0], noun=answer[1], text=""))
        else:
            of_file.refused.append((item.line, reasons[text]))


def _accepted(rows: list[AnyLabel], change: Callable[[LabelRow], LabelRow], refused: list[tuple[int, str]]) -> list[AnyLabel]:
    """Apply `change` to each label and keep the rows that it accepts.

    It is called once per label shared by many intervals.
    """
    good: list[AnyLabel] = []
    answers: dict[int, LabelRow | str] = {}
    for row in rows:
        label = row.label if isinstance(row, IntervalRow) else row
        answer = answers.get(id(label))
        if answer is None:
            try:
                answer = change(label)
            except ValueError as error:
                answer = str(error)
            if label is not row:
                answers[id(label)] = answer
        if isinstance(answer, str):
            refused.append((row.line, answer))
        elif answer is label:
            good.append(row)
        else:
            good.append(row._replace(label=answer) if isinstance(row, IntervalRow) else answer)
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
    return row if (verb, noun) == (row.verb, row.noun) else row.model_copy(update={"verb": verb, "noun": noun})
