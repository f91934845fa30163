"""Cuts a batch of videos that are to be predicted, as the model's clips were; a video that was cut before is left alone."""

from tasks.media.cutting import cut_videos
from tasks.options import StoreUri
from tasks.results.prediction import PredictionBatch, PredictPlanResult
from tasks.results.video import SegmentResult
from tasks.steps._step import StepArguments, finish
from tasks.store.objects import Store
from tasks.store.stored import Output


class Arguments(StepArguments):
    """The plan, and one of its batches."""

    plan: StoreUri
    batch: StoreUri


def run(arguments: Arguments, store: Store) -> SegmentResult:
    """Cut every video of the batch. One that cannot be cut is recorded with its reason; the rest goes on."""
    plan = store.read(Output(arguments.plan, PredictPlanResult))
    videos = [video.video for video in store.read(arguments.batch, PredictionBatch).videos]
    return finish(store, Output(arguments.out, SegmentResult), cut_videos(store, plan.store, videos, plan.segment))
