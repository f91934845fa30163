"""Declare the options of what deletes: cleaning a store up, and forgetting videos."""

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


class ForgetOptions(Options):
    """Choose one video, or all videos of one source, and the reason for the receipt."""

    section: ClassVar[str] = "Forget"

    video: str | None = Field(
        None, min_length=1, title="Video", description="Its name, its content hash, or the first 12 digits of that or more"
    )
    source: str | None = Field(
        None, min_length=1, title="Source", description="In place of a video: a source or recording, all of whose videos are forgotten"
    )
    reason: str = Field(
        "", max_length=500, title="Reason", description="Needed to delete. Kept in the receipt, so without the name of the video"
    )
