"""Describe the steps that predict videos by two networks side by side."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tasks.contracts.step import BatchUri, Step, StepArguments
from tasks.options import EvaluateOptions, PredictOptions, StoreUri
from tasks.results.prediction import KnownClipsResult, PredictBatchResult, PredictPlanResult, PredictReportResult
from tasks.results.video import SegmentResult

PlanUri = Annotated[StoreUri, Field(description="The `--out` address of `predict_plan`")]
KnownUri = Annotated[StoreUri, Field(description="The `--out` address of `predict_known`")]


class PredictPlanArguments(StepArguments, PredictOptions, EvaluateOptions):
    """All options of a prediction."""


class PredictCutArguments(StepArguments):
    """The plan, and one of its batches."""

    plan: PlanUri
    batch: BatchUri


class PredictKnownArguments(StepArguments):
    """The plan of the prediction."""

    plan: PlanUri


class PredictBatchArguments(StepArguments):
    """The plan, one of its batches, and the features of training clips."""

    plan: PlanUri
    batch: BatchUri
    known: KnownUri


class PredictReportArguments(StepArguments):
    """The plan of the prediction, and the features of training clips."""

    plan: PlanUri
    known: KnownUri


class PredictArguments(EvaluateOptions, PredictOptions):
    """All options of a prediction at a shell."""

    store: StoreUri | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the model's decisions")
    to: Path | None = Field(
        None, title="Folder", description="Where page, tables, tracks and previews are copied to; empty leaves them in the store"
    )


PLAN = Step(
    name="predict_plan",
    summary="decide which videos are predicted, and by which networks",
    module="predict_videos.predict_plan",
    arguments=PredictPlanArguments,
    result=PredictPlanResult,
    task="plan",
)
CUT = Step(
    name="predict_cut",
    summary="cut a batch of videos to predict",
    module="predict_videos.predict_cut",
    arguments=PredictCutArguments,
    result=SegmentResult,
    task="cut",
)
KNOWN = Step(
    name="predict_known",
    summary="compute features of a sample of the model's training clips",
    module="predict_videos.predict_known",
    arguments=PredictKnownArguments,
    result=KnownClipsResult,
    task="known",
    image="trainer",
    gpu=True,
)
PREDICT_BATCH = Step(
    name="predict_batch",
    summary="predict a batch of videos",
    module="predict_videos.predict_batch",
    arguments=PredictBatchArguments,
    result=PredictBatchResult,
    task="predict",
    image="trainer",
    gpu=True,
)
REPORT = Step(
    name="predict_report",
    summary="write the tables, tracks, page and to-label list of a prediction",
    module="predict_videos.predict_report",
    arguments=PredictReportArguments,
    result=PredictReportResult,
    task="report",
)
PREDICT = Step(
    name="predict",
    summary="predict videos by two networks side by side",
    module="predict_videos.predict",
    arguments=PredictArguments,
    result=PredictReportResult,
    by_hand=True,
    image="trainer",
    gpu=True,
    positional={"videos": "VIDEO"},
)
