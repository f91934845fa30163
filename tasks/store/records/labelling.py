"""Define the statements of the labelling page, as the log keeps them, and labelling's results."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from tasks.store.records.dataset import Problem
from tasks.store.records.record import Record, later

Answer = Literal["action", "nothing", "unsure"]
Reading = Literal["first", "second"]
MAX_TEXT = 200
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Token = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{8,64}$")]
VideoHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[float, Field(ge=0, le=10 * 24 * 3600)]


def _time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time has its zone")
    return text


Time = Annotated[str, AfterValidator(_time)]


def require_words(answer: Answer, verb: str | None, noun: str | None) -> None:
    """Check that an action has words, and that no other answer has any."""
    if (answer == "action") != (verb is not None and noun is not None):
        raise ValueError("verb and noun belong to the answer 'action', and to no other")


def require_order(start_seconds: float, stop_seconds: float) -> None:
    """Check that an interval ends after its start."""
    if stop_seconds <= start_seconds:
        raise ValueError("stop_seconds is not after start_seconds")


class Suggested(Record):
    """The answer that the model suggested; `shown` is False if the page hid it."""

    verb: Text
    noun: Text
    probability: float = Field(ge=0, le=1)
    shown: bool


class Statement(Record):
    """One statement: who made it, and when (UTC).

    The page makes the `token`, so that a repeated request adds nothing. `after` is the time of the store's latest annotation file then, by
    the store's own clock; None in older logs.
    """

    token: Token
    by: Text
    at: Time
    after: Time | None = None

    @property
    def place(self) -> datetime:
        """Return the time up to which it overrides files; later files win."""
        return datetime.fromisoformat(self.after or self.at)


class ClipStatement(Statement):
    """The answer of a person about one clip, which a later one replaces.

    A second reader did not see the first answer. `over` is the token of the latest interval in the clip that the person knew of. If
    `checked`, the person knew that an audit finds the earlier label doubtful. If `chosen`, a model had chosen the clip to label; None in
    older logs.
    """

    kind: Literal["clip"] = "clip"
    video: VideoHash
    uid: Text
    start_seconds: Moment
    stop_seconds: Moment
    answer: Answer
    verb: Text | None = None
    noun: Text | None = None
    reading: Reading = "first"
    suggested: Suggested | None = None
    over: Token | None = None
    checked: bool = later(False)
    chosen: bool | None = later(None)

    @model_validator(mode="after")
    def _an_action_has_words(self) -> "ClipStatement":
        require_words(self.answer, self.verb, self.noun)
        return self


class IntervalStatement(Statement):
    """An action in a part of a video; it replaces the statement with token `replaces`."""

    kind: Literal["interval"] = "interval"
    video: VideoHash
    start_seconds: Moment
    stop_seconds: Moment
    verb: Text
    noun: Text
    replaces: Token | None = None
    suggested: Suggested | None = None

    @model_validator(mode="after")
    def _stops_after_its_start(self) -> "IntervalStatement":
        require_order(self.start_seconds, self.stop_seconds)
        return self


class Withdrawal(Statement):
    """Takes back a statement, and unless it is an `undo`, any that this had replaced."""

    kind: Literal["withdrawal"] = "withdrawal"
    withdrawn: Token
    undo: bool = False


class ClassMerge(Statement):
    """Renames a class to `same_as`, or merges it into that one."""

    kind: Literal["class"] = "class"
    target: Literal["verb", "noun"]
    name: Text
    same_as: Text


class Forgotten(Statement):
    """The placeholder of a statement about a forgotten video; the others keep their numbers."""

    kind: Literal["forgotten"] = "forgotten"


AnyStatement = Annotated[ClipStatement | IntervalStatement | Withdrawal | ClassMerge | Forgotten, Field(discriminator="kind")]


class LogEntry(Record):
    """`label_log/<number>.json`: one statement; never overwritten."""

    statement: AnyStatement


class DamagedEntry(Record):
    """The place of an entry that cannot be read, and the reason."""

    reason: str


AnyEntry = LogEntry | DamagedEntry


class Lease(Record):
    """`label_log/lent/<person>.json`: the clips that a person has before them since it was written."""

    by: Text
    uids: tuple[str, ...]


class LogBlock(Record):
    """`label_log/blocks/<number>.json`: consecutive entries in one object, so that a long log is read quickly."""

    entries: tuple[LogEntry, ...] = Field(min_length=1)


class ImportedFile(Record):
    """An annotation file, how it was read, and where it lies if it is readable.

    `num_labels` counts the labels of videos in the store, `num_without_video` those of others. `remarks` are about labels that are used.
    """

    name: str
    layout: str
    uri: str | None
    num_labels: int
    num_without_video: int
    first_without_video: tuple[str, ...]
    num_refused: int
    first_refused: tuple[Problem, ...]
    remarks: tuple[str, ...] = ()


class LabelsImportResult(Record):
    """The files of one import."""

    files: tuple[ImportedFile, ...]


class LabelsExportResult(Record):
    """A file for another tool. `num_labels` and `num_predictions` count its intervals."""

    path: str
    labels_uri: str
    prediction_uri: str | None
    num_videos: int
    num_labels: int
    num_predictions: int
