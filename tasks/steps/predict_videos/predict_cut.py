"""Cut a batch of videos to predict, as the model's clips were; skip cut ones."""

from tasks.contracts.predict_videos import CUT, PredictCutArguments
from tasks.media.cutting import cut_videos
from tasks.results.prediction import PredictionBatch, PredictPlanResult
from tasks.results.video import SegmentResult
from tasks.steps._step import finish
from tasks.store.objects import Store
from tasks.store.stored import Output


def run(arguments: PredictCutArguments, store: Store) -> SegmentResult:
    """Cut every video of the batch; record failed ones with their reasons."""
    plan = store.read(Output(arguments.plan, PredictPlanResult))
    videos = [video.video for video in store.read(arguments.batch, PredictionBatch).videos]
    return finish(store, CUT.address(arguments), cut_videos(store, plan.store, videos, plan.segment, {}))
