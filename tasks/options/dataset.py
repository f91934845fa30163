"""Declare the options of labels and splits."""

from typing import ClassVar

from pydantic import Field, model_validator

from tasks.options.base import Options


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


class SplitOptions(Options):
    """Set how source videos are assigned to train, val and test. A video never changes its split."""

    section: ClassVar[str] = "Split"

    val_share: float = Field(
        23 / 102, gt=0, lt=1, title="Validation share", description="Share of the labelled clips; the original experiment has 23 of 102"
    )
    test_share: float = Field(0, ge=0, lt=1, title="Test share", description="Share of the labelled clips; 0: no test set")
    split_seed: int = Field(0, ge=0, le=2**31 - 1, title="Split seed")

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> "SplitOptions":
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing to train on")
        return self
