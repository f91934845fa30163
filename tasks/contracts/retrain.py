"""The steps that train a network, test it, and decide whether it becomes champion."""

import getpass
from typing import Literal

from pydantic import Field

from tasks.contracts.step import BatchUri, PlanUri, Step, StepArguments
from tasks.options import EvaluateOptions, GateOptions, RegisterOptions, StoreUri, TrainOptions
from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResults, RegisterResult, ReportResult, RollbackResult
from tasks.results.flow import FlowResult, FlowsResult
from tasks.results.record import ModelRole
from tasks.results.training import PlanResult, TrainResult, WeightsResult


class WeightsArguments(StepArguments, TrainOptions):
    """The network with its weights or checkpoint and the seed, or the networks to be fused; other options have no effect."""


class PlanArguments(StepArguments, TrainOptions, EvaluateOptions, RegisterOptions, GateOptions):
    """Everything that a person chose."""

    dataset: StoreUri | None = Field(None, description="Address of a dataset; empty takes the latest")
    weights_result: StoreUri = Field(description="Address that the step weights wrote to")
    force_token: str | None = Field(None, description="Any text; makes the training a new one")
    decide_token: str | None = Field(None, description="Any text; makes the decision a new one")


class FlowsArguments(StepArguments):
    """The networks that need optical flow: those of a training, of a comparison, or of a prediction."""

    plan: StoreUri | None = Field(None, description="Address that the step plan wrote to, for a training")
    configured: StoreUri | None = Field(None, description="Address that the step configure wrote to, for a comparison")
    prediction: StoreUri | None = Field(None, description="Address that the step predict_plan wrote to, for a prediction")


class FlowArguments(StepArguments):
    """One batch, which says how its flow is computed."""

    batch: BatchUri


class PlannedArguments(StepArguments):
    """A plan to follow."""

    plan: PlanUri


class EvaluateArguments(PlannedArguments):
    """One of the networks that the plan scores."""

    model: ModelRole = Field(description="Which of the plan's networks is scored")


class DecideArguments(PlannedArguments):
    """The plan whose network is decided on, and a person's answer where one was asked."""

    answer: Literal["approved", "rejected", "no answer", "not asked"] = Field("not asked", description="A person's answer")
    answered_by: str = Field("", description="Who answered")
    comment: str = Field("", description="Kept with the decision")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user that the system has no name for
        return "a person at a shell"


class RollbackArguments(RegisterOptions):
    """The version to go back to, and why."""

    to: int = Field(ge=1, title="Version", description="That was champion before and becomes it again")
    reason: str = Field(min_length=3, max_length=500, title="Reason", description="In words, for those who look at the registry later")
    by: str = Field(default_factory=_user, min_length=1, max_length=100, title="Who", description="Is kept with the reason")


WEIGHTS = Step(
    name="weights",
    summary="fetch and verify the weights to start from",
    module="retrain.weights",
    arguments=WeightsArguments,
    result=WeightsResult,
    also_in=("compare_networks",),
    image="trainer",
)
PLAN = Step(
    name="plan",
    summary="decide what is trained and tested",
    module="retrain.plan",
    arguments=PlanArguments,
    result=PlanResult,
)
FLOWS = Step(
    name="flows",
    summary="list the clips whose optical flow is missing",
    module="retrain.missing_flow",
    arguments=FlowsArguments,
    result=FlowsResult,
    also_in=("compare_networks", "predict_videos"),
)
FLOW = Step(
    name="flow",
    summary="compute the optical flow of a batch of clips",
    module="retrain.compute_flow",
    arguments=FlowArguments,
    result=FlowResult,
    also_in=("compare_networks", "predict_videos"),
)
TRAIN = Step(
    name="train",
    summary="fine-tune the network",
    module="retrain.train",
    arguments=PlannedArguments,
    result=TrainResult,
    also_in=("compare_networks",),
    image="trainer",
    gpu=True,
)
EVALUATE = Step(
    name="evaluate",
    summary="score one network on its splits",
    module="retrain.evaluate",
    arguments=EvaluateArguments,
    result=EvaluateResults,
    also_in=("compare_networks",),
    image="trainer",
    gpu=True,
)
COMPARE = Step(
    name="compare",
    summary="set the fine-tuned network beside what it must beat, by the gate's rules",
    module="retrain.compare",
    arguments=PlannedArguments,
    result=CompareResult,
)
REPORT = Step(
    name="report",
    summary="write the report, its numbers and the model card",
    module="retrain.report",
    arguments=PlannedArguments,
    result=ReportResult,
)
REGISTER = Step(
    name="register",
    summary="register the model in MLflow as challenger",
    module="retrain.register",
    arguments=PlannedArguments,
    result=RegisterResult,
    image="trainer",
)
DECIDE = Step(
    name="decide",
    summary="make it champion, or leave the champion as it is",
    module="retrain.decide",
    arguments=DecideArguments,
    result=DecideResult,
)
ROLLBACK = Step(
    name="rollback",
    summary="make an earlier version champion again",
    module="retrain.rollback",
    arguments=RollbackArguments,
    result=RollbackResult,
    by_hand=True,
)
