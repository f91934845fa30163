"""Cut a batch of videos to predict, as the model's clips were; skip cut ones."""

from tasks.data.clips.cut_videos import cut_videos
from tasks.pipeline._results import finish
from tasks.pipeline.predict_videos.contract import CUT, PredictCutArguments
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictionBatch, PredictPlanResult
from tasks.store.records.video import SegmentResult
from tasks.store.stored import Output


def run(arguments: PredictCutArguments, store: Store) -> SegmentResult:
    """Cut every video of the batch; record failed ones with their reasons."""
    plan = store.read(Output(arguments.plan, PredictPlanResult))
    videos = [video.video for video in store.read(arguments.batch, PredictionBatch).videos]
    return finish(store, CUT.address(arguments), cut_videos(store, plan.store, videos, plan.segment, {}))
