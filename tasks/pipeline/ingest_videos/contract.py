"""Describe the steps that take videos into the store and cut them into clips."""

from pydantic import Field

from tasks.keys import recipe_of
from tasks.options import IngestOptions, SegmentOptions
from tasks.pipeline.step import FolderUri, IngestBatchUri, OutArguments, Step, StepArguments
from tasks.store.derived import segment_of_batch
from tasks.store.layout import Ingest, Layout
from tasks.store.records.video import IngestResult, SegmentResult, SummaryResult


class IngestArguments(OutArguments, IngestOptions, SegmentOptions):
    """The sources, and the recipe that their videos will be cut by."""


class SegmentArguments(StepArguments, SegmentOptions):
    """One batch and the recipe to cut it by."""

    batch: IngestBatchUri


class SummariseArguments(StepArguments, SegmentOptions):
    """The ingest, and the recipe that its videos were cut by."""

    ingest: FolderUri = Field(description="The `--out` address of `ingest`")


INGEST = Step(
    name="ingest",
    summary="take videos and annotation files into the store",
    arguments=IngestArguments,
    result=IngestResult,
    address=lambda arguments: Ingest(arguments.out),
    reads=lambda arguments, _: arguments.sources or [Layout(arguments.store).inbox.folder_uri],
    writes=lambda arguments, _: [Layout(arguments.store).videos],
)
SEGMENT = Step(
    name="segment",
    summary="cut a batch of videos into clips",
    arguments=SegmentArguments,
    result=SegmentResult,
    address=lambda arguments: segment_of_batch(arguments.batch, recipe_of(arguments.picked(SegmentOptions))),
    reads=lambda arguments, _: [Layout(arguments.store).videos],
    writes=lambda arguments, _: [Layout(arguments.store).all_clips],
)
SUMMARISE = Step(
    name="summarise",
    summary="count the files, videos and clips of an ingest, and list what was set aside",
    arguments=SummariseArguments,
    result=SummaryResult,
    address=lambda arguments: Ingest(arguments.ingest).summary,
)
