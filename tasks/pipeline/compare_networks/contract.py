"""Describe the steps that train several networks on one dataset and tabulate them."""

from typing import Literal

from pydantic import Field

from tasks.keys import configuration_key
from tasks.options import ComparisonOptions, EvaluateOptions, PresetOptions, RegisterOptions, StoreUri, TrainOptions
from tasks.pipeline.step import ClaimsUri, FolderUri, MaxHours, OutArguments, Step, StepArguments
from tasks.store.derived import configurations_of_claims
from tasks.store.records.comparison import ConfigureResult, TabulateResult
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import AskedComparison, Configurations, Decision


class ConfigureArguments(OutArguments, PresetOptions, ComparisonOptions, TrainOptions):
    """The configurations, and the options that they share."""


class PlanNetworkArguments(StepArguments, TrainOptions, EvaluateOptions, RegisterOptions):
    """The options of one configuration; `model_name` is part of a run's key."""

    dataset: StoreUri = Field(description="Address of the dataset")
    weights_result: FolderUri = Field(description="The `--out` address of `weights`")
    claims: ClaimsUri
    split: Literal["val", "test"] = Field("val", description="The clips to score on")
    max_hours: MaxHours = None
    name: str = Field(description="The configuration, as in its line of the form")


class TabulateArguments(StepArguments):
    """The configurations, and the failures that the runner recorded."""

    configured: FolderUri = Field(description="The `configured_uri` of the result of `configure`")
    failures: str = Field("[]", description='The failed steps, as JSON: `[{"map_index": 1, "step": "train", "reason": "…"}]`')


CONFIGURE = Step(
    name="configure",
    summary="read the configurations of a comparison of networks",
    arguments=ConfigureArguments,
    result=ConfigureResult,
    address=lambda arguments: AskedComparison(arguments.out),
)
PLAN_NETWORK = Step(
    name="plan_network",
    summary="plan the training of one configuration",
    arguments=PlanNetworkArguments,
    result=PlanResult,
    address=lambda arguments: configurations_of_claims(arguments.claims).network(configuration_key(arguments.picked(TrainOptions))).plan,
    writes=lambda _, result: [Decision(result.decision_uri).plan.folder_uri],
    task="plan",
)
TABULATE = Step(
    name="tabulate",
    summary="put the compared networks into one table",
    arguments=TabulateArguments,
    result=TabulateResult,
    address=lambda arguments: Configurations(arguments.configured).table,
)
