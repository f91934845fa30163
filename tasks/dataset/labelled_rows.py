"""Read all annotation files and resolve the names in their labels to classes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.dataset.problems import first_problems
from tasks.dataset.rows import AnnotationFile, IntervalRow, LabelRow, NounClassRow, Row, SameAsRow, VerbClassRow, read_annotations
from tasks.dataset.vocabulary import NOUNS, VERBS, Lexicon, OwnClasses
from tasks.errors import BadLabels
from tasks.results.dataset import Problem

AnyLabel = LabelRow | IntervalRow


@dataclass(frozen=True)
class LabelFile:
    """A file's labels, with canonical class names as `verb` and `noun`."""

    name: str
    rows: tuple[AnyLabel, ...]


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


def read_files(files: Sequence[AnnotationFile], own: OwnClasses) -> ReadFiles:
    """Read all files, then resolve names, so that ids apply across files.

    Ids come from `own`, then from the shipped EPIC names, then from EPIC's lists, then from the labels' id columns, latest file first, so that
    an id can be corrected. A line that contradicts an id known by then is rejected.
    """
    verbs, nouns = Lexicon("verb", VERBS, own.verbs), Lexicon("noun", NOUNS, own.nouns)
    problems: list[Problem] = []
    told: dict[str, list[tuple[int, str]]] = {}
    num_more: Counter[str] = Counter()
    lists: list[tuple[str, Row]] = []
    labels: dict[str, list[AnyLabel]] = {}
    for file in files:
        try:
            read = read_annotations(file)
        except BadLabels as error:
            problems.append(Problem(file=file.name, line=None, reason=str(error)))
            continue
        told[file.name] = list(read.refused)
        for row in read.rows:
            if isinstance(row, LabelRow | IntervalRow):
                labels.setdefault(file.name, []).append(row)
            else:
                lists.append((file.name, row))
    for name, row in lists:
        try:
            _learn_class(row, f"{name} line {row.line}", verbs, nouns)
        except ValueError as error:
            told[name].append((row.line, str(error)))
    for name in reversed(labels):
        labels[name] = _accepted(labels[name], partial(_learn_label, name, verbs, nouns), told[name])
    named = {name: _accepted(rows, partial(_by_own_names, verbs, nouns), told[name]) for name, rows in labels.items()}
    for name, refused in told.items():
        problems += first_problems(name, refused, num_more)
    return ReadFiles(tuple(LabelFile(name, tuple(rows)) for name, rows in named.items() if rows), verbs, nouns, tuple(problems), num_more)


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
