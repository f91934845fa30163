"""Describe the step that forgets videos."""

from pydantic import Field

from tasks.keys import form_key
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
    asked: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        title="Question",
        description="SHA-256 of the question that this person answered; if the list in the store asks another, nothing is deleted",
    )


FORGET = Step(
    name="forget",
    summary="list all that the store and MLflow have of a video; with --confirm, delete it",
    arguments=ForgetArguments,
    result=ForgetResult,
    address=lambda arguments: Layout(arguments.store).forgotten.asked(form_key(arguments.keyed(exclude={"asked"}), type(arguments))),
    positional={"video": "VIDEO"},
)
