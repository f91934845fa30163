"""Cut a batch of videos into clips; skip videos that were cut before."""

from tasks.data.clips.cut_videos import cut_videos
from tasks.options import SegmentOptions
from tasks.pipeline._results import finish
from tasks.pipeline.ingest_videos.contract import SEGMENT, SegmentArguments
from tasks.store.objects import Store
from tasks.store.records.video import Batch, SegmentResult


def run(arguments: SegmentArguments, store: Store) -> SegmentResult:
    """Cut several videos of the batch at a time; record failed ones with their reasons."""
    batch = store.read(arguments.batch, Batch)
    result = cut_videos(store, arguments.store, batch.videos, arguments.picked(SegmentOptions), batch.intervals)
    return finish(store, SEGMENT.address(arguments), result)
