"""Describe the steps that predict videos by two networks side by side."""

from pathlib import Path

from pydantic import Field

from tasks.keys import form_key
from tasks.options import EvaluateOptions, PredictOptions, StoreRoot
from tasks.pipeline.step import Command, PredictionBatchUri, PredictionPlanUri, Step, StepArguments
from tasks.store.derived import predicted_of_batch, prediction_of_plan
from tasks.store.layout import Layout
from tasks.store.records.prediction import KnownClipsResult, PredictBatchResult, PredictPlanResult, PredictReportResult
from tasks.store.records.video import SegmentResult
from tasks.store.run_layout import Prediction, Run
from tasks.store.stored import Output


class PredictPlanArguments(StepArguments, PredictOptions, EvaluateOptions):
    """All options of a prediction."""


class PredictionArguments(StepArguments):
    """The plan of a prediction."""

    plan: PredictionPlanUri

    @property
    def planned(self) -> Output[PredictPlanResult]:
        """Return the place of the plan."""
        return Output(self.plan, PredictPlanResult)


class PredictBatchArguments(PredictionArguments):
    """The plan, and one of its batches."""

    batch: PredictionBatchUri


class PredictArguments(EvaluateOptions, PredictOptions):
    """All options of a prediction at a shell."""

    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the model's decisions")
    to: Path | None = Field(None, title="Folder", description="Where page, tables and tracks are copied to; empty leaves them in the store")


PLAN = Step(
    name="predict_plan",
    summary="decide which videos are predicted, and by which networks",
    arguments=PredictPlanArguments,
    result=PredictPlanResult,
    address=lambda arguments: Layout(arguments.store).prediction_plan(form_key(arguments.keyed(), type(arguments))),
    reads=lambda _, result: [Run(result.run_uri).train.folder_uri] if result.run_uri else [],
    writes=lambda _, result: [Prediction(result.prediction_uri).plan.folder_uri],
    task="plan",
)
CUT = Step(
    name="predict_cut",
    summary="cut a batch of videos to predict",
    arguments=PredictBatchArguments,
    result=SegmentResult,
    address=lambda arguments: predicted_of_batch(arguments.batch).cut,
    task="cut",
)
KNOWN = Step(
    name="predict_known",
    summary="compute features of a sample of the model's training clips",
    arguments=PredictionArguments,
    result=KnownClipsResult,
    address=lambda arguments: prediction_of_plan(arguments.plan).known,
    task="known",
    gpu=True,
)
PREDICT_BATCH = Step(
    name="predict_batch",
    summary="predict a batch of videos",
    arguments=PredictBatchArguments,
    result=PredictBatchResult,
    address=lambda arguments: predicted_of_batch(arguments.batch),
    task="predict",
    gpu=True,
)
REPORT = Step(
    name="predict_report",
    summary="write the tables, tracks, page and to-label list of a prediction",
    arguments=PredictionArguments,
    result=PredictReportResult,
    address=lambda arguments: prediction_of_plan(arguments.plan).report,
    task="report",
)
PREDICT = Command(
    name="predict",
    summary="predict videos by two networks side by side",
    arguments=PredictArguments,
    result=PredictReportResult,
    gpu=True,
    positional={"videos": "VIDEO"},
)
