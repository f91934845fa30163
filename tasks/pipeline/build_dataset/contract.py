"""Describe the steps that label the clips, split their videos, and write the dataset."""

from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions, SplitOptions
from tasks.pipeline.step import LabelsUri, Step, StepArguments
from tasks.store.layout import Labels, Layout
from tasks.store.records.dataset import DatasetResult, LabelResult, SplitResult


class LabelArguments(StepArguments, SegmentOptions, LabelOptions):
    """The recipe of the clips, and how labels find them."""


class SplitArguments(StepArguments, SplitOptions):
    """The labels, and the options that split their clips."""

    labels: LabelsUri


LABEL = Step(
    name="label",
    summary="find the labels of all clips",
    arguments=LabelArguments,
    result=LabelResult,
    address=lambda arguments: Layout(arguments.store).labels(recipe_of(arguments.picked(SegmentOptions))),
    reads=lambda arguments, _: [(at := Layout(arguments.store)).all_clips, at.annotations.folder_uri, at.label_log.folder_uri],
)
SPLIT = Step(
    name="split",
    summary="deal source videos to train, val and test",
    arguments=SplitArguments,
    result=SplitResult,
    address=lambda arguments: Labels(arguments.labels).split,
    writes=lambda arguments, _: [Layout(arguments.store).split_file],
)
DATASET = Step(
    name="dataset",
    summary="write the dataset: manifest, CSV files, histograms",
    arguments=SplitArguments,
    result=DatasetResult,
    address=lambda arguments: Layout(arguments.store).latest_dataset,
    reads=lambda arguments, _: [Layout(arguments.store).split_file],
    writes=lambda _, result: [result.dataset_uri],
)
