"""Describe the steps that take videos into the store and cut them into clips."""

from pydantic import Field

from tasks.contracts.step import BatchUri, Step, StepArguments
from tasks.options import IngestOptions, SegmentOptions, StoreUri
from tasks.results.video import IngestResult, SegmentResult, SummaryResult


class IngestArguments(StepArguments, IngestOptions, SegmentOptions):
    """The sources, and the recipe that their videos will be cut by."""


class SegmentArguments(StepArguments, SegmentOptions):
    """One batch and the recipe to cut it by."""

    batch: BatchUri


class SummariseArguments(StepArguments, SegmentOptions):
    """The ingest, and the recipe that its videos were cut by."""

    ingest: StoreUri = Field(description="The `--out` address of `ingest`")


INGEST = Step(
    name="ingest",
    summary="take videos and annotation files into the store",
    module="ingest_videos.ingest",
    arguments=IngestArguments,
    result=IngestResult,
)
SEGMENT = Step(
    name="segment",
    summary="cut a batch of videos into clips",
    module="ingest_videos.segment",
    arguments=SegmentArguments,
    result=SegmentResult,
)
SUMMARISE = Step(
    name="summarise",
    summary="count the files, videos and clips of an ingest, and list what was set aside",
    module="ingest_videos.summarise",
    arguments=SummariseArguments,
    result=SummaryResult,
)
