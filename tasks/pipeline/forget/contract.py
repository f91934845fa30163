"""Describe the step that forgets videos."""

from pydantic import Field

from tasks.keys import content_key
from tasks.options import ForgetOptions
from tasks.pipeline.step import Step, StepArguments
from tasks.store.layout import Layout
from tasks.store.records.upkeep import ForgetResult


class ForgetArguments(StepArguments, ForgetOptions):
    """The videos, the reason, and who approved it."""

    confirm: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        title="Approved by",
        description="Deletes, and keeps this name in the receipt; without it, all is only listed",
    )


FORGET = Step(
    name="forget",
    summary="list all that the store and MLflow have of a video; with --confirm, delete it",
    arguments=ForgetArguments,
    result=ForgetResult,
    address=lambda arguments: Layout(arguments.store).forgotten.asked(content_key(arguments.model_dump(mode="json"))),
    positional={"video": "VIDEO"},
)
