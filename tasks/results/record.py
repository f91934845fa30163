"""What all results have in common."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

SplitName = Literal["train", "val", "test"]
ModelRole = Literal["baseline", "fine-tuned", "champion"]
Target = Literal["verb", "noun", "action"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TARGETS: tuple[Target, ...] = ("verb", "noun", "action")
VERB_ALONE: tuple[Target, ...] = ("verb",)
"""Of a dataset without objects. In either tuple the last target is the one that decides."""


class Record(BaseModel):
    """A closed, immutable record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetAside(Record):
    """A file that could not be used, and why, in words for the person who brought it."""

    name: str
    reason: str


def now_utc() -> str:
    """The time as records have it: UTC, ISO 8601, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
