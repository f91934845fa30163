"""Define the base model and types shared by all results."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, WrapSerializer, model_validator

from tasks.options import LabelOptions, Modality, SegmentOptions

T = TypeVar("T")
SplitName = Literal["train", "val", "test"]
ModelRole = Literal["baseline", "fine-tuned", "champion", "previous"]
"""`fine-tuned` is the new network of a run, which is registered as challenger."""
Target = Literal["verb", "noun", "action"]
MODELS: tuple[ModelRole, ...] = ("baseline", "previous", "champion", "fine-tuned")
ROLES_IN_WORDS: dict[str, str] = {
    "baseline": "the baseline",
    "champion": "the champion",
    "fine-tuned": "the new network",
    "previous": "the previous version",
}
IN_TABLES: dict[str, str] = {"baseline": "baseline", "champion": "champion", "fine-tuned": "new network", "previous": "previous"}
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TARGETS: tuple[Target, ...] = ("verb", "noun", "action")
VERB_ALONE: tuple[Target, ...] = ("verb",)
"""Targets of a dataset without objects. In both tuples the last target decides."""


class Record(BaseModel):
    """An immutable record without extra fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def later(default: T, description: str | None = None) -> T:
    """Declare a field that older records lack.

    At its default it is left out, so that the bytes of older records stay.
    """
    return Field(default, description=description, exclude_if=lambda value: value == default)


def leaves_out(*names: str) -> Any:  # noqa: ANN401 - a validator, for pydantic to find
    """Drop fields that older records have besides."""

    def drop(cls: type[Record], data: object) -> object:
        return {name: value for name, value in data.items() if name not in names} if isinstance(data, dict) else data

    return model_validator(mode="before")(drop)


class SetAside(Record):
    """A file that could not be used, and the reason, in plain words."""

    name: str
    reason: str


def _without(**later: object) -> WrapSerializer:
    """Leave out options that were added later, at their defaults."""

    def dumped(options: BaseModel, dump: SerializerFunctionWrapHandler) -> Mapping[str, Any]:
        return {name: value for name, value in dump(options).items() if name not in later or value != later[name]}

    return WrapSerializer(dumped)


KeptLabelOptions = Annotated[LabelOptions, _without(nothing_share=0)]
KeptSegmentOptions = Annotated[SegmentOptions, _without(cut="grid")]
"""Options as records keep them: without those added later at their defaults, so that the digests of older datasets stay."""


KeptModality = Modality | Literal["spectrogram"]
"""The input of a network in records, also one that was removed."""


def now_utc() -> str:
    """Return the current time as stored in records: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
