"""Describe the steps after a decision: learning curve, and earlier versions on today's clips."""

from tasks.pipeline.retrain.contract import PlannedArguments
from tasks.pipeline.step import Step
from tasks.store.derived import decision_of_plan
from tasks.store.records.curves import LearningCurveResult
from tasks.store.records.status import RescoreResult


class DecidedArguments(PlannedArguments):
    """The plan of a decision."""


LEARNING_CURVE = Step(
    name="learning_curve",
    summary="train on shares of the clips, and extrapolate what more labels would gain",
    arguments=DecidedArguments,
    result=LearningCurveResult,
    address=lambda arguments: decision_of_plan(arguments.plan).learning_curve,
    gpu=True,
)
RESCORE = Step(
    name="rescore",
    summary="score earlier versions on the clips that decided last",
    arguments=DecidedArguments,
    result=RescoreResult,
    address=lambda arguments: decision_of_plan(arguments.plan).rescore,
    gpu=True,
)
