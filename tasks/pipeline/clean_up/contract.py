"""Describe the step that deletes old objects that nothing needs any more."""

from tasks.options import CleanUpOptions
from tasks.pipeline.step import Step, StepArguments
from tasks.store.layout import Layout
from tasks.store.records.upkeep import CleanUpResult


class CleanUpArguments(StepArguments, CleanUpOptions):
    """The age at which objects may go, and whether they are deleted."""


CLEAN_UP = Step(
    name="clean_up",
    summary="delete what nothing needs any more, or list it",
    arguments=CleanUpArguments,
    result=CleanUpResult,
    address=lambda arguments: Layout(arguments.store).clean_up,
)
