"""Cut a batch of videos to predict, as the model's clips were; skip cut ones."""

from tasks.data.clips.cut_videos import cut_videos
from tasks.pipeline._results import finish
from tasks.pipeline.predict_videos.contract import CUT, PredictBatchArguments
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictionBatch
from tasks.store.records.video import SegmentResult


def run(arguments: PredictBatchArguments, store: Store) -> SegmentResult:
    """Cut every video of the batch; record failed ones with their reasons."""
    plan = store.read(arguments.planned)
    videos = [video.video for video in store.read(arguments.batch, PredictionBatch).videos]
    return finish(store, CUT.address(arguments), cut_videos(store, plan.store, videos, plan.segment, {}))
