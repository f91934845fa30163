"""Parse the lines of annotation files.

A pydantic model, named `...Line`, validates a line of each layout. A million lines with labels are too many for models: each is kept as a
`ClipRow` or an `IntervalRow`, and those with the same label share one `LabelLine`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tasks.data.labels.tables import Cells
from tasks.data.labels.vocabulary import LEFT_OUT, MAX_TEXT_LENGTH, class_name, normal_name, noun_name
from tasks.errors import BadLabels
from tasks.store.records.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS, Groups, action_name
from tasks.wording import FORMULA_SIGN, quoted, text_of_cell

MAX_SECONDS = 10 * 24 * 3600
MAX_CLASS_ID = 1_000_000
MAX_SOURCE_LENGTH = 200
MAX_LABELS = 50_000
"""Different labels in a file; to validate each takes time."""

YES_OR_NO = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
TIME = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,2}):)?([0-9]{1,7}(?:[.,][0-9]{0,9})?)")
PLAIN_SECONDS = re.compile(r"[0-9]{1,7}(?:\.[0-9]{0,9})?")
"""A fast path for the usual spelling. It halves the time to read a million lines."""

# Sources become cells of split.csv, which people open in Excel, so none may start a formula.
SOURCE = re.compile(rf"[^\W_](?:[^\x00-\x1f\x7f\";|]|[;|](?! *{FORMULA_SIGN}))*")


@dataclass(frozen=True)
class AnnotationFile:
    """An annotation file as a person uploaded it."""

    name: str
    content: bytes
    unread: str = ""
    """The reason if the file was not read."""
    beside: frozenset[str] = frozenset()
    """Content hashes of the videos that came with the file, which prefers them where several videos have a name."""


def _seconds(text: str) -> float:
    if PLAIN_SECONDS.fullmatch(text):
        return float(text)
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError("is negative" if text.startswith("-") else "is not a time; write seconds, mm:ss or hh:mm:ss")
    hours, minutes, seconds = match[1], match[2], float(match[3].replace(",", "."))
    if minutes is not None and (seconds >= 60 or (hours is not None and int(minutes) >= 60)):
        raise ValueError("is not a time: minutes and seconds must be below 60")
    return seconds + 60 * int(minutes or 0) + 3600 * int(hours or 0)


def _source(text: str) -> str | None:
    if text and not SOURCE.fullmatch(text):
        raise ValueError("is not a source name; start with a letter or a digit, without =, +, - or @ after a semicolon")
    return text or None


ClassName = Annotated[str, AfterValidator(class_name)]
NounName = Annotated[str, AfterValidator(noun_name)]
ClassId = Annotated[Annotated[int, Field(ge=0, lt=MAX_CLASS_ID)] | None, BeforeValidator(lambda value: None if value == "" else value)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(le=MAX_SECONDS)]
VideoName = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]


class Line(BaseModel):
    """A line of any layout. Columns that its model lacks are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    line: int


L = TypeVar("L", bound=Line)


class LabelLine(Line):
    """The label in a line: a verb, an optional noun and optional class ids."""

    verb: ClassName
    noun: NounName
    action: Annotated[str, Field(max_length=200)] = ""
    verb_class: ClassId = None
    noun_class: ClassId = None

    @model_validator(mode="after")
    def _action_is_verb_and_noun(self) -> "LabelLine":
        if self.noun == NO_OBJECT and self.noun_class is not None and self.noun_class < NUM_EPIC_NOUNS:
            raise ValueError(f"noun is empty, but noun_class {self.noun_class} is a noun's id; write its name")
        if self.action and normal_name(self.action) != normal_name(action_name(self.verb, self.noun)):
            noun = "no noun" if self.noun == NO_OBJECT else f"noun {quoted(self.noun)}"
            raise ValueError(f"action {quoted(self.action)} contradicts verb {quoted(self.verb)} and {noun}")
        return self


class ClipLine(LabelLine):
    """`uid,verb,noun,action,verb_class,noun_class`: a label for a clip, or for all clips of a video."""

    uid: VideoName
    source: Annotated[str | None, Field(max_length=MAX_SOURCE_LENGTH), BeforeValidator(_source)] = None


class IntervalLine(LabelLine):
    """`video,start_seconds,stop_seconds,verb,noun`: a label for a part of a video."""

    video: VideoName
    start_seconds: Seconds
    stop_seconds: Seconds

    @model_validator(mode="after")
    def _stops_after_its_start(self) -> "IntervalLine":
        if self.stop_seconds <= self.start_seconds:
            raise ValueError(f"stop_seconds {self.stop_seconds:g} is not after start_seconds {self.start_seconds:g}")
        return self


class ClipRow(NamedTuple):
    """A label for a clip, or for all clips of a video."""

    line: int
    label: LabelLine
    uid: str
    source: str | None
    groups: Groups = ()
    """Cells of columns without a meaning to Retake, such as a camera."""
    is_chosen: bool = False
    """Whether the line is of a list of clips to label, which a model chose."""

    @property
    def verb(self) -> str:
        """Return the label's verb."""
        return self.label.verb

    @property
    def noun(self) -> str:
        """Return the label's noun."""
        return self.label.noun


class IntervalRow(NamedTuple):
    """A label for a part of a video."""

    line: int
    label: LabelLine
    video: str
    start_seconds: float
    stop_seconds: float
    groups: Groups = ()

    @property
    def verb(self) -> str:
        """Return the label's verb."""
        return self.label.verb

    @property
    def noun(self) -> str:
        """Return the label's noun."""
        return self.label.noun


LabelRow = ClipRow | IntervalRow


def _members(text: str) -> tuple[str, ...]:
    return tuple(single or double for single, double in re.findall(r"'([^']*)'|\"([^\"]*)\"", text[:20_000]))


Members = Annotated[tuple[ClassName, ...], BeforeValidator(_members)]


class VerbClassLine(Line):
    """`verb_id,class_key,verbs`: a line of EPIC-KITCHENS-55's list of verb classes."""

    verb_id: Annotated[int, Field(ge=0, lt=NUM_EPIC_VERBS)]
    class_key: ClassName
    verbs: Members = ()


class NounClassLine(Line):
    """`noun_id,class_key,nouns`: a line of EPIC-KITCHENS-55's list of noun classes."""

    noun_id: Annotated[int, Field(ge=0, lt=NUM_EPIC_NOUNS)]
    class_key: ClassName
    nouns: Members = ()


class Epic100ClassLine(Line):
    """`id,key,instances,category`: a line of EPIC-KITCHENS-100's lists, whose ids are not EPIC-KITCHENS-55's."""

    key: ClassName
    instances: Members = ()


class SameAsLine(Line):
    """`target,name,same_as`: a name to merge into another class, or to leave out with `-`."""

    target: Annotated[Literal["verb", "noun"], BeforeValidator(str.casefold)]
    name: ClassName
    same_as: Annotated[str, AfterValidator(lambda text: text if text in (LEFT_OUT, NO_OBJECT) else class_name(text))]

    @model_validator(mode="after")
    def _verbs_name_something(self) -> "SameAsLine":
        if self.target == "verb" and self.same_as == NO_OBJECT:
            raise ValueError(f"same_as {quoted(NO_OBJECT)} is only for nouns; use '-' to leave out the verb's clips")
        return self


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in YES_OR_NO:
        raise ValueError("is not an answer; write yes or no")
    return YES_OR_NO[text.casefold()]


class FullyLabelledLine(Line):
    """`video,fully_labelled`: whether nothing happens in the rest of a video."""

    video: VideoName
    fully_labelled: Annotated[bool, BeforeValidator(_yes_or_no)]


class RecordingLine(Line):
    """`video,recording`: a video's recording; without a name, one of its own."""

    video: VideoName
    recording: Annotated[str, BeforeValidator(text_of_cell), Field(max_length=MAX_TEXT_LENGTH)] = ""


LINES: dict[str, tuple[type[Line], tuple[str, ...]]] = {
    "intervals": (IntervalLine, ("video", "start_seconds", "stop_seconds", "verb", "noun")),
    "clips": (ClipLine, ("uid", "verb", "noun")),
    "verb classes": (VerbClassLine, ("verb_id", "class_key")),
    "noun classes": (NounClassLine, ("noun_id", "class_key")),
    "classes of EPIC-KITCHENS-100": (Epic100ClassLine, ("id", "key", "instances")),
    "same classes": (SameAsLine, ("target", "name", "same_as")),
    "fully labelled videos": (FullyLabelledLine, ("video", "fully_labelled")),
    "recordings": (RecordingLine, ("video", "recording")),
}
"""The model of a line of each layout, and the columns that must be there."""
LAYOUTS = {layout: columns for layout, (_, columns) in LINES.items()}

LABEL_COLUMNS = ("verb", "noun", "action", "verb_class", "noun_class")
TO_FILL_IN = (*LABEL_COLUMNS, "source")
"""Columns of a list of clips to label that a person fills in. A line without any of them is skipped."""
INFORMATION = ("suggested_verb", "suggested_noun", "probability", "reason", "file", "from_seconds", "to_seconds", "score")
"""Columns of such a list that inform the person, and are not read. No other file has the first."""
NO_GROUPS = frozenset((*TO_FILL_IN, *LAYOUTS["intervals"], *LAYOUTS["clips"], *INFORMATION))
"""Columns that Retake knows. Each other column, such as the camera, groups the clips by its values."""
MAX_GROUP_COLUMNS, MAX_GROUP_LENGTH = 10, 60


def row_reader(layout: str) -> Callable[[int, Cells], Line | LabelRow]:
    """Return the reader of a layout's lines; its ValueError names the faults of a line."""
    if layout in ("clips", "intervals"):
        return partial(_read_clip if layout == "clips" else _read_interval, _Shared())
    return partial(_validated, LINES[layout][0])


def _validated(model: type[L], line: int, cells: Cells) -> L:
    try:
        return model.model_validate({**cells, "line": line})
    except ValidationError as error:
        raise ValueError(reason_of(error)) from None


class _Shared:
    """Labels, names and groups of a file, equal ones once.

    To validate a million lines by a model takes a minute.
    """

    def __init__(self) -> None:
        self._label_by_cells: dict[tuple[str | None, ...], LabelLine | str] = {}
        self._group_columns: tuple[str, ...] | None = None
        self._groups: dict[Groups, Groups] = {}
        self._last_name = ""

    def label(self, line: int, cells: Cells) -> LabelLine:
        """Validate a label the first time; repeat its error for further lines with it."""
        key = tuple(map(cells.get, LABEL_COLUMNS))
        label = self._label_by_cells.get(key)
        if label is None:
            if len(self._label_by_cells) >= MAX_LABELS:
                raise BadLabels(f"has more than {MAX_LABELS} different labels; split it into several files")
            try:
                label = _validated(LabelLine, line, cells)
            except ValueError as error:
                label = str(error)
            self._label_by_cells[key] = label
        if isinstance(label, str):
            raise ValueError(label)
        return label

    def name(self, name: str) -> str:
        """Share the name of a video or clip with the line before."""
        if name != self._last_name:
            self._last_name = name
        return self._last_name

    def groups(self, cells: Cells) -> Groups:
        """Return the filled cells of the columns that group clips."""
        if self._group_columns is None:
            further = [name for name in cells if name and name not in NO_GROUPS and len(name) <= MAX_GROUP_LENGTH]
            self._group_columns = tuple(further[:MAX_GROUP_COLUMNS])
        if not self._group_columns:
            return ()
        groups = tuple((name, cells[name]) for name in self._group_columns if 0 < len(cells[name]) <= MAX_GROUP_LENGTH)
        return self._groups.setdefault(groups, groups)


def _read_clip(shared: _Shared, line: int, cells: Cells) -> ClipRow:
    uid, source, is_chosen = cells["uid"], cells.get("source", ""), INFORMATION[0] in cells
    if 0 < len(uid) <= MAX_TEXT_LENGTH and (not source or (len(source) <= MAX_SOURCE_LENGTH and SOURCE.fullmatch(source))):
        return ClipRow(line, shared.label(line, cells), shared.name(uid), source or None, shared.groups(cells), is_chosen)
    # The model names all faults.
    whole = _validated(ClipLine, line, cells)
    return ClipRow(line, whole, whole.uid, whole.source, shared.groups(cells), is_chosen)


def _read_interval(shared: _Shared, line: int, cells: Cells) -> IntervalRow:
    video = cells["video"]
    try:
        start, stop = _seconds(cells["start_seconds"]), _seconds(cells["stop_seconds"])
    except ValueError:
        start = stop = 0.0
    if start < stop <= MAX_SECONDS and 0 < len(video) <= MAX_TEXT_LENGTH:
        return IntervalRow(line, shared.label(line, cells), shared.name(video), start, stop, shared.groups(cells))
    whole = _validated(IntervalLine, line, cells)
    return IntervalRow(line, whole, whole.video, whole.start_seconds, whole.stop_seconds, shared.groups(cells))


def reason_of(error: ValidationError) -> str:
    """Say in one line why a line was refused."""
    parts = []
    for detail in error.errors(include_url=False):
        message = str(detail.get("ctx", {}).get("error", detail["msg"]))
        column = ".".join(map(str, detail["loc"]))
        if not column:
            parts.append(message)
        elif detail["input"] == "":
            parts.append(f"{column} is empty")
        else:
            parts.append(f"{column} {quoted(str(detail['input']))}: {message}")
    return "; ".join(parts)
