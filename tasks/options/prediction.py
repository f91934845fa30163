"""Declare the options of predictions."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.options.base import Address, Options

MIN_STRIDE_SECONDS, MAX_STRIDE_SECONDS = 0.1, 60
MODEL_REFERENCE = r"models:/[A-Za-z0-9][A-Za-z0-9._-]{0,62}(@[A-Za-z0-9_-]{1,62}|/[1-9][0-9]{0,8})"


class PredictOptions(Options):
    """Choose the videos to predict and the networks."""

    section: ClassVar[str] = "Prediction"
    retired: ClassVar[Mapping[str, Any]] = {"preview": False}

    videos: list[Address] = Field(
        [],
        title="Videos",
        description="Folders, files or http(s) addresses; empty: every ingested video of the store that was not trained on",
    )
    model: str = Field(
        "models:/retake-tsn@champion",
        pattern=f"^{MODEL_REFERENCE}$",
        title="Model",
        description="models:/NAME@ALIAS or models:/NAME/VERSION in MLflow's registry",
    )
    against: str = Field(
        "baseline",
        pattern=f"^(baseline|none|{MODEL_REFERENCE})$",
        title="Compare with",
        description="baseline: the network that the model's training started from, or the version before the model's if its heads are untrained; none; "
        "or another registered model",
    )
    allow_trained: bool = Field(
        False, title="Include training videos", description="Predict videos that were trained on, too; their scores are optimistic"
    )
    num_to_label: int = Field(
        50, ge=0, le=1000, title="Clips to label", description="Number of clips to list whose labels would teach most, best first"
    )
    stride_seconds: float | None = Field(
        None,
        ge=MIN_STRIDE_SECONDS,
        le=MAX_STRIDE_SECONDS,
        title="Stride of windows, seconds",
        description="Predict a window as long as a clip every so many seconds, and report intervals: when which action happens. A clip must be a whole number of strides; empty: clips alone",
    )
    interval_precision: float = Field(
        0.8,
        gt=0,
        lt=1,
        title="Precision of intervals",
        description="Intervals are reported from the lowest probability at or above which val shows that this share of clips is right, and none if there is no such probability; only with a stride. The probability of an interval is a mean, lower than that of a clip, so fewer are reported than of clips",
    )
    pairs: Literal["known", "all"] = Field(
        "known",
        title="Actions",
        description="known: only pairs of verb and noun that the network's training clips show are predicted as actions; all: any pair. A network whose training dataset is not in the store, and the baseline, answer any pair",
    )
