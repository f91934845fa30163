"""Every annotation file, read, with the names in its labels turned into classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.dataset.rows import AnnotationFile, LabelRow, NounClassRow, Row, SameAsRow, VerbClassRow, read_annotations
from tasks.dataset.vocabulary import NOUNS, VERBS, ClassNames, OwnClasses
from tasks.errors import BadLabels
from tasks.results.dataset import Problem


@dataclass(frozen=True)
class LabelFile:
    """A file's labels; their `verb` and `noun` are the classes' own names."""

    name: str
    rows: tuple[LabelRow, ...]


@dataclass(frozen=True)
class ReadFiles:
    """All files in order of upload, the classes that they know, and what was refused."""

    files: tuple[LabelFile, ...]
    verbs: ClassNames
    nouns: ClassNames
    problems: tuple[Problem, ...]


def read_files(files: Sequence[AnnotationFile], own: OwnClasses) -> ReadFiles:
    """Read all files before any name is looked up, so that an id in one file serves every other.

    EPIC's ids come from the shipped names, then from its lists, then from the labels' own columns, of the latest file first, so that an id
    can be corrected; a line that contradicts what came before it is refused. Ids in `own` go before all of them.
    """
    verbs, nouns = ClassNames("verb", VERBS, own.verbs), ClassNames("noun", NOUNS, own.nouns)
    problems: list[Problem] = []
    rows: list[tuple[str, Row]] = []
    for file in files:
        try:
            read = read_annotations(file)
        except BadLabels as error:
            problems.append(Problem(file=file.name, line=None, reason=str(error)))
            continue
        rows += [(file.name, row) for row in read.rows]
        problems += [Problem(file=file.name, line=line, reason=reason) for line, reason in read.refused]
    lists = [(file, row) for file, row in rows if not isinstance(row, LabelRow)]
    labels: dict[str, list[LabelRow]] = {}
    for name, row in rows:
        if isinstance(row, LabelRow):
            labels.setdefault(name, []).append(row)
    for name, row in lists:
        try:
            _learn_class(row, f"{name} line {row.line}", verbs, nouns)
        except ValueError as error:
            problems.append(Problem(file=name, line=row.line, reason=str(error)))
    consistent: dict[str, list[LabelRow]] = {name: [] for name in labels}
    for name in reversed(labels):
        for label in labels[name]:
            try:
                _learn_label(label, f"{name} line {label.line}", verbs, nouns)
                consistent[name].append(label)
            except ValueError as error:
                problems.append(Problem(file=name, line=label.line, reason=str(error)))
    named: dict[str, list[LabelRow]] = {name: [] for name in labels}
    for name, agreed in consistent.items():
        for label in agreed:
            try:
                named[name].append(_by_own_names(label, verbs, nouns))
            except ValueError as error:
                problems.append(Problem(file=name, line=label.line, reason=str(error)))
    return ReadFiles(tuple(LabelFile(name, tuple(rows)) for name, rows in named.items() if rows), verbs, nouns, tuple(problems))


def _learn_class(row: Row, where: str, verbs: ClassNames, nouns: ClassNames) -> None:
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


def _learn_label(row: LabelRow, where: str, verbs: ClassNames, nouns: ClassNames) -> None:
    verbs.learn(row.verb, row.verb_class, where)
    nouns.learn(row.noun, row.noun_class, where)


def _by_own_names(row: LabelRow, verbs: ClassNames, nouns: ClassNames) -> LabelRow:
    return row.model_copy(update={"verb": verbs.find(row.verb, row.verb_class), "noun": nouns.find(row.noun, row.noun_class)})
