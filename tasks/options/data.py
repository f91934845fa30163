"""Declare the options of ingesting, cutting, labelling, splitting, cleaning up and forgetting."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.options.base import Address, Options

Cut = Literal["grid", "intervals", "both"]


class IngestOptions(Options):
    """Select the files to ingest."""

    section: ClassVar[str] = "Ingest"

    sources: list[Address] = Field(
        [],
        title="Sources",
        description="Folders, files, http(s) addresses of files, pages as web:https://…, s3+NAME://bucket/PATTERN, or frigate+http://HOST:5000/CAMERA/START; empty: everything under inbox/ of the store and its standing sources",
    )
    own_channels: list[Address] = Field(
        [],
        title="Channels of your own",
        description="Ids (UC…), handles (@…) or addresses; videos of other channels' pages are taken only under a Creative Commons licence",
    )
    max_video_mib: int = Field(4096, ge=1, le=1_048_576, title="Maximum video size, MiB", description="Larger files are set aside")
    max_video_minutes: int = Field(240, ge=1, le=10_080, title="Maximum video length, minutes", description="Longer videos are set aside")
    min_new_labels: int = Field(
        20,
        ge=1,
        le=1_000_000,
        title="New labels that start a build",
        description="Clips and intervals that the page Label labels otherwise than at the last build; a new video or annotation file always starts one",
    )


class SegmentOptions(Options):
    """Set how videos are cut into clips, whose folder these options and ffmpeg's version name."""

    section: ClassVar[str] = "Clips"

    clip_seconds: float = Field(8, ge=1, le=60, title="Clip length, seconds")
    fps: int = Field(30, ge=5, le=60, title="Frames per second", description="Constant frame rate of every clip")
    short_side: int = Field(
        256, ge=128, le=1080, title="Short side, pixels", description="Larger videos are scaled down to it; smaller ones keep their size"
    )
    min_clip_seconds: float = Field(
        2, ge=0.3, le=60, title="Minimum last clip, seconds", description="A shorter rest at the end of a video is dropped and recorded"
    )
    crf: int = Field(20, ge=0, le=40, title="x264 quality (CRF)", description="Lower: better quality and larger files")
    gop_frames: int = Field(15, ge=1, le=300, title="Group of pictures, frames", description="Short groups make sampling seeks cheap")
    cut: Cut = Field(
        "grid",
        title="Cut",
        description="grid: one clip after another; intervals: a clip around each labelled interval; both: val and test have the grid alone",
    )

    @property
    def on_grid(self) -> Self:
        """Return these options for clips one after another."""
        return self.model_copy(update={"cut": "grid"})

    @property
    def parts(self) -> tuple[Self, ...]:
        """Return the options of each folder of clips: two if both kinds are cut."""
        return tuple(self.model_copy(update={"cut": cut}) for cut in ("grid", "intervals")) if self.cut == "both" else (self,)


class LabelOptions(Options):
    """Set how labels are matched to clips."""

    section: ClassVar[str] = "Labels"

    min_overlap: float = Field(
        0.25, ge=0, le=1, title="Minimum overlap", description="Share of a clip that a labelled interval must cover to label it"
    )
    nothing_share: float = Field(
        0,
        ge=0,
        le=1,
        title="Share of uncovered clips",
        description="Of videos that a file marks as fully labelled, the share of the clips that no label touches to label `nothing`",
    )


MIN_SOURCES_OF_DRAW, DRAWN_SHARE = 12, 0.15
"""Labelled source videos from which on test is drawn at random, and its share of them where nobody chose one."""


class SplitOptions(Options):
    """Set how source videos are assigned to train, val and test, for ever."""

    section: ClassVar[str] = "Split"

    val_share: float = Field(
        23 / 102, gt=0, lt=1, title="Validation share", description="Share of the labelled clips; the original experiment has 23 of 102"
    )
    test_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        title="Test share",
        description="From 12 labelled source videos on, test is drawn at random, as a share of the videos; of fewer, it is a share of the clips; 0: no test set; empty: 15 % from 12 source videos on, else none",
    )
    split_seed: int = Field(0, ge=0, le=2**31 - 1, title="Split seed")

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> "SplitOptions":
        if self.val_share + (self.test_share or 0) >= 1:
            raise ValueError("val_share and test_share leave nothing to train on")
        return self

    def draws_test(self, num_sources: int) -> bool:
        """Check whether `num_sources` labelled source videos are enough to draw test at random."""
        return num_sources >= MIN_SOURCES_OF_DRAW

    def test_share_of(self, num_sources: int) -> float:
        """Return the share of test among `num_sources` labelled source videos."""
        if self.test_share is not None:
            return self.test_share
        return DRAWN_SHARE if self.draws_test(num_sources) and self.val_share + DRAWN_SHARE < 1 else 0.0


class CleanUpOptions(Options):
    """Set which objects may go, and whether they do."""

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
