"""Declare the options of cleaning a store up."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options


class CleanUpOptions(Options):
    """Set what may go, and whether it does."""

    section: ClassVar[str] = "Clean up"

    dry_run: bool = Field(True, title="Only list", description="List what would go, with its size, and delete nothing")
    keep_days: int = Field(
        90, ge=7, le=3650, title="Keep, days", description="What was written or used in these days stays, with all that it needs"
    )
    keep_runs: int = Field(
        10,
        ge=1,
        le=1000,
        title="Keep, trainings",
        description="The trainings of the latest decisions on each model stay, and of all that were champion",
    )
