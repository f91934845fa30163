"""Describe the steps that label the clips, split their videos, and write the dataset."""

from typing import Annotated

from pydantic import Field

from tasks.contracts.step import Step, StepArguments
from tasks.options import LabelOptions, SegmentOptions, SplitOptions, StoreUri
from tasks.results.dataset import DatasetResult, LabelResult, SplitResult

LabelsUri = Annotated[StoreUri, Field(description="The `--out` address of `label`")]


class LabelArguments(StepArguments, SegmentOptions, LabelOptions):
    """The recipe of the clips, and how labels find them."""


class SplitArguments(StepArguments, SplitOptions):
    """The labels, and the shares of the splits."""

    labels: LabelsUri


class DatasetArguments(StepArguments, SplitOptions):
    """The labels of the dataset's clips, and the options that split them."""

    labels: LabelsUri


LABEL = Step(
    name="label",
    summary="find the labels of all clips",
    module="build_dataset.label",
    arguments=LabelArguments,
    result=LabelResult,
)
SPLIT = Step(
    name="split",
    summary="deal source videos to train, val and test",
    module="build_dataset.split",
    arguments=SplitArguments,
    result=SplitResult,
)
DATASET = Step(
    name="dataset",
    summary="write the dataset: manifest, CSV files, histograms",
    module="build_dataset.dataset",
    arguments=DatasetArguments,
    result=DatasetResult,
)
