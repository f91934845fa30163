"""Sums up an ingest for people, and for the asset event that starts the next DAG."""

from tasks.keys import recipe_of
from tasks.media.label_inputs import inputs_digest
from tasks.options import SegmentOptions, StoreUri
from tasks.results.video import NUM_FIRST, IngestResult, Inventory, SegmentResult, SetAsideFile, SummaryResult, inventory_uri
from tasks.steps._step import StepArguments, finish, log, result_uri
from tasks.store.objects import Store


class Arguments(StepArguments, SegmentOptions):
    """The ingest, and the recipe that its videos were cut by."""

    ingest: StoreUri


def run(arguments: Arguments, store: Store) -> SummaryResult:
    """Count what came in and name everything that was set aside."""
    ingest = store.read(result_uri(arguments.ingest), IngestResult)
    inventory = store.read(inventory_uri(arguments.ingest), Inventory)
    segments = [store.read(result_uri(batch.out), SegmentResult) for batch in ingest.batches]
    found = SetAsideFile(
        set_aside=(*inventory.set_aside, *(bad for s in segments for bad in s.set_aside)),
        warnings=tuple(warning for s in segments for warning in s.warnings),
    )
    uri = f"{arguments.out}set_aside.json"
    store.write(uri, found)
    recipe = recipe_of(arguments.picked(SegmentOptions))
    result = SummaryResult(
        num_files=ingest.num_files,
        num_videos=ingest.num_videos,
        num_clips=sum(s.num_clips for s in segments),
        num_set_aside=len(found.set_aside),
        num_warnings=len(found.warnings),
        first_set_aside=found.set_aside[:NUM_FIRST],
        first_warnings=found.warnings[:NUM_FIRST],
        set_aside_uri=uri,
        recipe=recipe,
        inputs_digest=inputs_digest(store, arguments.store, recipe),
    )
    log.info("%d files, %d videos, %d clips", result.num_files, result.num_videos, result.num_clips)
    for bad in found.set_aside:
        log.warning("set aside: %s: %s", bad.name, bad.reason)
    for warning in found.warnings:
        log.warning("%s: %s", warning.name, warning.reason)
    return finish(store, arguments.out, result)
