"""Cuts a batch of videos into clips; a video that was cut before is left alone."""

from tasks.media.cutting import cut_videos
from tasks.options import SegmentOptions, StoreUri
from tasks.results.video import Batch, SegmentResult
from tasks.steps._step import StepArguments, finish
from tasks.store.objects import Store
from tasks.store.stored import Output


class Arguments(StepArguments, SegmentOptions):
    """One batch and the recipe to cut it by."""

    batch: StoreUri


def run(arguments: Arguments, store: Store) -> SegmentResult:
    """Cut every video of the batch, several at a time. A video that cannot be cut is recorded with its reason; the rest goes on."""
    videos = store.read(arguments.batch, Batch).videos
    return finish(store, Output(arguments.out, SegmentResult), cut_videos(store, arguments.store, videos, arguments.picked(SegmentOptions)))
