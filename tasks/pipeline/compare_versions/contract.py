"""Describe the step that compares two trained networks on clips that neither was trained on."""

from tasks.keys import form_key
from tasks.options import EvaluateOptions, VersionOptions
from tasks.pipeline.step import Step, StepArguments
from tasks.store.layout import Layout
from tasks.store.records.comparison import TabulateResult


class CompareVersionsArguments(StepArguments, VersionOptions, EvaluateOptions):
    """The two networks, the clips, and how they are tested."""


COMPARE_VERSIONS = Step(
    name="compare_versions",
    summary="compare two trained networks on clips that neither was trained on",
    arguments=CompareVersionsArguments,
    result=TabulateResult,
    address=lambda arguments: Layout(arguments.store).compared_versions(form_key(arguments.keyed(), type(arguments))),
    gpu=True,
)
