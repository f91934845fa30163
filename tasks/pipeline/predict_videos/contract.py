"""Describe the steps that predict videos by two networks side by side."""

from pathlib import Path

from pydantic import Field

from tasks.keys import content_key
from tasks.options import EvaluateOptions, PredictOptions, StoreRoot
from tasks.pipeline.step import Command, PredictionBatchUri, PredictionPlanUri, Step, StepArguments
from tasks.store.derived import predicted_of_batch, prediction_of_plan
from tasks.store.layout import Layout
from tasks.store.records.prediction import KnownClipsResult, PredictBatchResult, PredictPlanResult, PredictReportResult
from tasks.store.records.video import SegmentResult
from tasks.store.run_layout import Prediction, Run


class PredictPlanArguments(StepArguments, PredictOptions, EvaluateOptions):
    """All options of a prediction."""


class PredictCutArguments(StepArguments):
    """The plan, and one of its batches."""

    plan: PredictionPlanUri
    batch: PredictionBatchUri


class PredictKnownArguments(StepArguments):
    """The plan of the prediction."""

    plan: PredictionPlanUri


class PredictBatchArguments(StepArguments):
    """The plan, and one of its batches."""

    plan: PredictionPlanUri
    batch: PredictionBatchUri


class PredictReportArguments(StepArguments):
    """The plan of the prediction."""

    plan: PredictionPlanUri


class PredictArguments(EvaluateOptions, PredictOptions):
    """All options of a prediction at a shell."""

    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the model's decisions")
    to: Path | None = Field(None, title="Folder", description="Where page, tables and tracks are copied to; empty leaves them in the store")


PLAN = Step(
    name="predict_plan",
    summary="decide which videos are predicted, and by which networks",
    module="predict_videos.predict_plan",
    arguments=PredictPlanArguments,
    result=PredictPlanResult,
    address=lambda arguments: Layout(arguments.store).prediction_plan(content_key(arguments.keyed())),
    reads=lambda _, result: [Run(result.run_uri).train.folder_uri] if result.run_uri else [],
    writes=lambda _, result: [Prediction(result.prediction_uri).plan.folder_uri],
    task="plan",
)
CUT = Step(
    name="predict_cut",
    summary="cut a batch of videos to predict",
    module="predict_videos.predict_cut",
    arguments=PredictCutArguments,
    result=SegmentResult,
    address=lambda arguments: predicted_of_batch(arguments.batch).cut,
    task="cut",
)
KNOWN = Step(
    name="predict_known",
    summary="compute features of a sample of the model's training clips",
    module="predict_videos.predict_known",
    arguments=PredictKnownArguments,
    result=KnownClipsResult,
    address=lambda arguments: prediction_of_plan(arguments.plan).known,
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
    address=lambda arguments: predicted_of_batch(arguments.batch),
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
    address=lambda arguments: prediction_of_plan(arguments.plan).report,
    task="report",
)
PREDICT = Command(
    name="predict",
    summary="predict videos by two networks side by side",
    module="predict_videos.predict",
    arguments=PredictArguments,
    result=PredictReportResult,
    image="trainer",
    gpu=True,
    positional={"videos": "VIDEO"},
)
