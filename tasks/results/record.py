"""Define the base model and types shared by all results."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

SplitName = Literal["train", "val", "test"]
ModelRole = Literal["baseline", "fine-tuned", "champion"]
Target = Literal["verb", "noun", "action"]
MODELS: tuple[ModelRole, ...] = ("baseline", "champion", "fine-tuned")
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TARGETS: tuple[Target, ...] = ("verb", "noun", "action")
VERB_ALONE: tuple[Target, ...] = ("verb",)
"""Targets of a dataset without objects. In both tuples the last target decides."""


class Record(BaseModel):
    """An immutable record without extra fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetAside(Record):
    """A file that could not be used, and the reason, in plain words."""

    name: str
    reason: str


def now_utc() -> str:
    """Return the current time as stored in records: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
