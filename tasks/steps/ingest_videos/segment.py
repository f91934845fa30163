"""Cut a batch of videos into clips; skip videos that were cut before."""

from tasks.contracts.ingest_videos import SEGMENT, SegmentArguments
from tasks.media.cutting import cut_videos
from tasks.options import SegmentOptions
from tasks.results.video import Batch, SegmentResult
from tasks.steps._step import finish
from tasks.store.objects import Store


def run(arguments: SegmentArguments, store: Store) -> SegmentResult:
    """Cut several videos of the batch at a time; record failed ones with their reasons."""
    batch = store.read(arguments.batch, Batch)
    found = cut_videos(store, arguments.store, batch.videos, arguments.picked(SegmentOptions), batch.intervals)
    return finish(store, SEGMENT.address(arguments), found)
