"""Sum up an ingest for people and for the event that starts the next DAG."""

from tasks.data.clips.label_inputs import inputs_digest, probe_objects
from tasks.keys import recipe_of
from tasks.loop.summary import keep
from tasks.loop.summary_parts import videos_status
from tasks.options import SegmentOptions
from tasks.pipeline._results import finish, log
from tasks.pipeline.ingest_videos.contract import SUMMARISE, SummariseArguments
from tasks.store.layout import Ingest, Layout
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.video import NUM_FIRST, SegmentResult, SetAsideFile, SummaryResult
from tasks.store.stored import Output


def run(arguments: SummariseArguments, store: Store) -> SummaryResult:
    """Count files, videos and clips, and name everything that was set aside."""
    place = Ingest(arguments.ingest)
    ingest, inventory = store.read(place), store.read(place.inventory)
    segments = [store.read(Output(batch.out, SegmentResult)) for batch in ingest.batches]
    aside = SetAsideFile(
        set_aside=(*inventory.set_aside, *(bad for s in segments for bad in s.set_aside)),
        warnings=tuple(warning for s in segments for warning in s.warnings),
    )
    summary = SUMMARISE.address(arguments)
    store.write(summary.set_aside, aside)
    recipe, probes = recipe_of(arguments.picked(SegmentOptions)), probe_objects(store, arguments.store)
    result = SummaryResult(
        num_files=ingest.num_files,
        num_videos=ingest.num_videos,
        num_unusable=ingest.num_unusable,
        num_clips=sum(s.num_clips for s in segments),
        num_set_aside=len(aside.set_aside),
        num_warnings=len(aside.warnings),
        first_set_aside=aside.set_aside[:NUM_FIRST],
        first_warnings=aside.warnings[:NUM_FIRST],
        set_aside_uri=summary.set_aside.uri,
        recipe=recipe,
        inputs_digest=inputs_digest(store, arguments.store, recipe, probes),
    )
    log.info(
        "%s; %d clips; set aside, annotation files and videos that could not be cut included: %d",
        result.in_words,
        result.num_clips,
        result.num_set_aside,
    )
    for bad in aside.set_aside:
        log.warning("set aside: %s: %s", bad.name, bad.reason)
    for warning in aside.warnings:
        log.warning("%s: %s", warning.name, warning.reason)
    finish(store, summary, result)
    keep(store, Layout(arguments.store).status.films, lambda earlier: videos_status(earlier, result, len(probes), now_utc()))
    return result
