"""Describe the step that says what more labels would gain."""

from tasks.pipeline.retrain.contract import PlannedArguments
from tasks.pipeline.step import Step
from tasks.store.derived import decision_of_plan
from tasks.store.records.curves import LearningCurveResult


class LearningCurveArguments(PlannedArguments):
    """The plan of the training to draw the curve of."""


LEARNING_CURVE = Step(
    name="learning_curve",
    summary="train on shares of the clips, and extrapolate what more labels would gain",
    module="learning_curve.learning_curve",
    arguments=LearningCurveArguments,
    result=LearningCurveResult,
    address=lambda arguments: decision_of_plan(arguments.plan).learning_curve,
    image="trainer",
    gpu=True,
)
