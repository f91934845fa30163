"""Declare the options of the learning curve."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options, StoreUri


class LearningCurveOptions(Options):
    """Choose whether the report says if more labels would help. It changes no training."""

    section: ClassVar[str] = "Learning curve"

    learning_curve: bool = Field(
        True,
        title="Learning curve",
        description="Trains heads on 10, 20, 50 and 100 % of the training clips, and extrapolates the accuracy to twice as many clips. Takes seconds to minutes if only the heads train. If more is trained, the features of all training clips are computed first, which can take hours on a CPU",
    )


class CurveOptions(Options):
    """Choose the training that a learning curve is drawn of."""

    section: ClassVar[str] = "Learning curve"

    plan: StoreUri = Field("", title="Plan", description="Address of the plan of a decision: s3://…/runs/KEY/decisions/KEY/plan/")
