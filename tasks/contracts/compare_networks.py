"""Describe the steps that train several networks on one dataset and compare them in a table."""

from pydantic import Field

from tasks.contracts.step import Step, StepArguments
from tasks.options import ComparisonOptions, EvaluateOptions, RegisterOptions, StoreUri, TrainOptions
from tasks.results.comparison import ConfigureResult, TabulateResult
from tasks.results.training import PlanResult


class ConfigureArguments(StepArguments, ComparisonOptions, TrainOptions):
    """The configurations, and the options that they share."""


class EnterArguments(StepArguments, TrainOptions, EvaluateOptions, RegisterOptions):
    """The options of one configuration; `model_name` is part of a run's key."""

    dataset: StoreUri = Field(description="Address of the dataset")
    weights_result: StoreUri = Field(description="The `--out` address of `weights`")
    claims: StoreUri = Field(
        description="Address under which configurations claim their trainings, so that no two tasks train the same one"
    )
    name: str = Field(description="The configuration, as in its line of the form")


class TabulateArguments(StepArguments):
    """The configurations, and the failures that the runner recorded."""

    configured: StoreUri = Field(description="The `--out` address of `configure`")
    failures: str = Field("[]", description='The failed steps, as JSON: `[{"map_index": 1, "step": "train", "reason": "…"}]`')


CONFIGURE = Step(
    name="configure",
    summary="read the configurations of a comparison of networks",
    module="compare_networks.configure",
    arguments=ConfigureArguments,
    result=ConfigureResult,
)
ENTER = Step(
    name="enter",
    summary="plan the training of one configuration",
    module="compare_networks.plan_network",
    arguments=EnterArguments,
    result=PlanResult,
    task="plan",
)
TABULATE = Step(
    name="tabulate",
    summary="put the compared networks into one table",
    module="compare_networks.tabulate",
    arguments=TabulateArguments,
    result=TabulateResult,
)
