"""Describe the steps that train a network, test it, and decide whether it becomes champion."""

import getpass
from typing import Literal, Self
from urllib.parse import urljoin

from pydantic import Field, model_validator

from tasks.keys import form_key
from tasks.options import (
    MAX_SEEDS,
    PRESETS,
    UNKEYED_PRESETS,
    ChampionExportOptions,
    EvaluateOptions,
    GateOptions,
    RecipeName,
    RegisterOptions,
    StoreRoot,
    StoreUri,
    TrainOptions,
    with_recipe,
)
from tasks.pipeline.export.contract import package_of
from tasks.pipeline.step import (
    Command,
    FlowBatchUri,
    FolderUri,
    MaxHours,
    OutArguments,
    PredictionPlanUri,
    SearchUri,
    ShellArguments,
    Step,
    StepArguments,
    TrainingPlanUri,
)
from tasks.store.derived import decision_of_plan, flow_of_batch, prediction_of_plan, run_of_plan
from tasks.store.layout import Layout
from tasks.store.records.decisions import CompareResult, DecideResult, RegisterResult, ReportResult, RollbackResult
from tasks.store.records.evaluation import EvaluateResults
from tasks.store.records.export import ExportResult
from tasks.store.records.training import PlanResult, RecipesResult, TrainResult, WeightsResult
from tasks.store.records.video import FlowResult, FlowsResult, SoundResult
from tasks.store.run_layout import Configurations, Decision, Prediction, Run
from tasks.store.stored import Output

NETWORK_SOURCES = ("plan", "configured", "prediction")


class WeightsArguments(OutArguments, TrainOptions):
    """Name the network with its weights or checkpoint, or a fusion.

    The other training options count for the recipe, and for the timed batch.
    """

    preset: RecipeName = Field("none", description="A recipe, auto: choose one, or none: take the training options that are given")
    dataset: StoreUri | None = Field(None, description="Address of the dataset that the training is for; empty takes the latest")
    num_seeds: int | None = Field(
        None,
        ge=1,
        le=MAX_SEEDS,
        description="Seeds of the recipe, each with a start of its own; empty: 5 if heads are trained briefly, else 1",
    )


class PlanArguments(StepArguments, TrainOptions, EvaluateOptions, RegisterOptions, GateOptions):
    """All options of a training and its gate, with the dataset and the weights."""

    preset: RecipeName = Field("none", description="Anything but none: take the training options that `weights` found")
    num_seeds: int | None = Field(None, ge=1, le=MAX_SEEDS, description="As `weights` got it, which finds a start for each")
    dataset: StoreUri | None = Field(None, description="Address of a dataset; empty takes the latest")
    weights_result: FolderUri = Field(description="The `--out` address of `weights`")
    max_hours: MaxHours = None
    force_token: str | None = Field(None, description="Any text; makes the training a new one")
    decide_token: str | None = Field(None, description="Any text; makes the decision a new one")


def _plan(arguments: PlanArguments) -> Output[PlanResult]:
    """Find the plan by the key of the form.

    The key covers all values, with those of a recipe of the code, except `weights_result`, an address that contains the same key, and
    `max_hours`, which changes no plan.
    """
    left_out = {"weights_result", "max_hours", *(["preset"] if arguments.preset in UNKEYED_PRESETS else [])}
    values = arguments.keyed(exclude=left_out)
    recipe = PRESETS.get(arguments.preset)
    return Layout(arguments.store).plan(form_key(with_recipe(recipe, values) if recipe else values, type(arguments)))


class NetworksArguments(StepArguments):
    """The networks of a training, a comparison or a prediction."""

    plan: TrainingPlanUri | None = Field(None, description="Address of the plan of a training, as `train` takes it")
    configured: FolderUri | None = Field(None, description="The `configured_uri` of the result of `configure`, for a comparison")
    prediction: PredictionPlanUri | None = Field(None, description="Address of the plan of a prediction, as `predict_batch` takes it")

    @model_validator(mode="after")
    def _name_exactly_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in NETWORK_SOURCES) != 1:
            raise ValueError(f"exactly one of {', '.join(f'--{name}' for name in NETWORK_SOURCES)} is needed")
        return self

    @property
    def place(self) -> Run | Configurations | Prediction:
        """Return the place of their training, comparison or prediction."""
        if self.plan is not None:
            return run_of_plan(self.plan)
        if self.configured is not None:
            return Configurations(self.configured)
        assert self.prediction is not None  # noqa: S101 - the arguments name exactly one of the three
        return prediction_of_plan(self.prediction)


class FlowArguments(StepArguments):
    """One batch, with its flow options."""

    batch: FlowBatchUri


class PlannedArguments(StepArguments):
    """A plan to follow."""

    plan: TrainingPlanUri

    @property
    def planned(self) -> Output[PlanResult]:
        """Return the place of the plan."""
        return Output(self.plan, PlanResult)


class ReportArguments(PlannedArguments):
    """The plan, and whether a learning curve is to come."""

    learning_curve: bool | None = Field(
        None, description="Whether a learning curve follows, or says that it is switched off. By default as an earlier report says"
    )


class DecideArguments(PlannedArguments):
    """The plan, and a person's answer if one was asked."""

    answer: Literal["approved", "rejected", "no answer", "not asked"] = Field("not asked", description="A person's answer")
    answered_by: str = Field("", description="Who answered")
    comment: str = Field("", description="Kept with the decision")


class ExportChampionArguments(PlannedArguments, ChampionExportOptions):
    """The plan, and the package."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name in the system
        return "a person at a shell"


class RollbackArguments(RegisterOptions):
    """The version to go back to, and why."""

    to: int = Field(ge=1, title="Version", description="An earlier champion, which becomes champion again")
    reason: str = Field(min_length=3, max_length=500, title="Reason", description="Kept in the registry")
    by: str = Field(
        default_factory=_user, min_length=1, max_length=100, title="Who", description="Kept with the reason; by default your user name"
    )


class SaveRecipeArguments(TrainOptions):
    """The name, and the options beside those of a search's winner."""

    names: list[RecipeName] = Field(
        [], min_length=1, max_length=1, validate_default=True, description="Of the recipe; an earlier one is replaced"
    )
    description: str = Field("", max_length=200, title="Description", description="Its purpose, in a few words")
    search: SearchUri | None = Field(None, title="Search", description="Address of a search whose winner becomes the recipe")
    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes that of the search, or RETAKE_STORE_URI")


class ShowRecipesArguments(ShellArguments):
    """The recipes to show."""

    names: list[RecipeName] = Field([], description="Recipes; none shows all")


WEIGHTS = Step(
    name="weights",
    summary="fetch and verify the weights to start from",
    arguments=WeightsArguments,
    result=WeightsResult,
    address=lambda arguments: Output(arguments.out, WeightsResult),
    also_in=("compare_networks",),
    torch=True,
)
PLAN = Step(
    name="plan",
    summary="plan a training, its tests and its opponents",
    arguments=PlanArguments,
    result=PlanResult,
    address=_plan,
    reads=lambda _, result: [result.dataset_uri],
    writes=lambda _, result: [Decision(result.decision_uri).plan.folder_uri],
)
FLOWS = Step(
    name="flows",
    summary="list the clips whose optical flow is missing",
    module="missing_flow",
    arguments=NetworksArguments,
    result=FlowsResult,
    address=lambda arguments: arguments.place.flows,
    also_in=("compare_networks", "predict_videos"),
)
FLOW = Step(
    name="flow",
    summary="compute the optical flow of a batch of clips",
    module="compute_flow",
    arguments=FlowArguments,
    result=FlowResult,
    address=lambda arguments: flow_of_batch(arguments.batch),
    also_in=("compare_networks", "predict_videos"),
)
SOUND = Step(
    name="sound",
    summary="describe the sound of the clips, where it is missing",
    module="describe_clips",
    arguments=NetworksArguments,
    result=SoundResult,
    address=lambda arguments: arguments.place.sound,
    also_in=("compare_networks", "predict_videos"),
    torch=True,
)
TRAIN = Step(
    name="train",
    summary="fine-tune the network that a plan describes",
    arguments=PlannedArguments,
    result=TrainResult,
    address=lambda arguments: run_of_plan(arguments.plan).train,
    also_in=("compare_networks",),
    gpu=True,
)
EVALUATE = Step(
    name="evaluate",
    summary="score the networks of a plan on their splits",
    arguments=PlannedArguments,
    result=EvaluateResults,
    address=lambda arguments: decision_of_plan(arguments.plan).evaluate,
    reads=lambda arguments, _: [run_of_plan(arguments.plan).train.folder_uri],
    also_in=("compare_networks",),
    gpu=True,
)
COMPARE = Step(
    name="compare",
    summary="compare the new network with its opponents by the gate's rules",
    arguments=PlannedArguments,
    result=CompareResult,
    address=lambda arguments: decision_of_plan(arguments.plan).compare,
    reads=lambda arguments, _: [decision_of_plan(arguments.plan).evaluate.folder_uri],
)
REPORT = Step(
    name="report",
    summary="write the report, its numbers and the model card",
    arguments=ReportArguments,
    result=ReportResult,
    address=lambda arguments: decision_of_plan(arguments.plan).report,
    reads=lambda arguments, _: [decision_of_plan(arguments.plan).compare.folder_uri],
    also_in=("learning_curve",),
)
REGISTER = Step(
    name="register",
    summary="register the model in MLflow as challenger",
    arguments=PlannedArguments,
    result=RegisterResult,
    address=lambda arguments: run_of_plan(arguments.plan).register,
    reads=lambda arguments, _: [run_of_plan(arguments.plan).train.folder_uri],
    writes=lambda _, result: [urljoin(result.mlflow_run_url, f"/models/{result.model_name}/versions/{result.version}")],
    torch=True,
)
DECIDE = Step(
    name="decide",
    summary="promote the version, or keep the champion",
    arguments=DecideArguments,
    result=DecideResult,
    address=lambda arguments: decision_of_plan(arguments.plan).decide,
    reads=lambda arguments, _: [decision_of_plan(arguments.plan).compare.folder_uri, run_of_plan(arguments.plan).register.folder_uri],
)
EXPORT = Step(
    name="export_champion",
    summary="pack the new champion for other machines",
    arguments=ExportChampionArguments,
    result=ExportResult,
    address=lambda arguments: package_of(run_of_plan(arguments.plan), arguments.asked),
    reads=lambda arguments, _: [run_of_plan(arguments.plan).train.folder_uri, decision_of_plan(arguments.plan).decide.folder_uri],
    writes=lambda _, result: [result.artifacts_url],
    task="export",
    torch=True,
)
ROLLBACK = Command(name="rollback", summary="make an earlier version champion again", arguments=RollbackArguments, result=RollbackResult)
SAVE_RECIPE = Command(
    name="recipe save",
    summary="save training options under a name",
    module="save_recipe",
    arguments=SaveRecipeArguments,
    result=RecipesResult,
    positional={"names": "NAME"},
)
LIST_RECIPES, SHOW_RECIPES = (
    Command(
        name=f"recipe {verb}",
        summary=summary,
        module="show_recipes",
        arguments=ShowRecipesArguments,
        result=RecipesResult,
        positional={"names": "NAME"},
    )
    for verb, summary in (("list", "list all recipes of the store and of the code"), ("show", "show the options of recipes"))
)
