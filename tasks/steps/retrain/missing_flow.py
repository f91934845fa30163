"""List the clips whose optical flow networks need and the store lacks."""

import math
from collections.abc import Sequence

from tasks.contracts.retrain import FLOWS, FlowsArguments
from tasks.errors import NothingToDo
from tasks.keys import flow_recipe_of
from tasks.media.clips import find_cut
from tasks.media.stored_flow import SeenClip, without_flow
from tasks.options import FlowOptions, TrainOptions
from tasks.results.flow import FlowBatch, FlowClip, FlowsResult
from tasks.results.prediction import PredictionBatch, PredictPlanResult
from tasks.results.training import PlanResult
from tasks.results.video import BatchRef, ClipRecord
from tasks.steps._plans import different, flow_of, flows_of
from tasks.steps._step import finish, log
from tasks.store.comparisons import Configurations
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.stored import Output

MAX_BATCHES = 256
CLIPS_A_BATCH = 16
"""Minimum batch size: long enough for a task, short enough to repeat. TV-L1 takes minutes per clip on a core."""


def run(arguments: FlowsArguments, store: Store) -> FlowsResult:
    """Write the batches of all clips, and list those in which flow is missing.

    The same networks have the same batches.

    Raises:
        NothingToDo: no network sees flow, or every clip has it.
    """
    recipes, seen = _wanted(arguments, store)
    if not recipes:
        raise NothingToDo("no network of this run looks at optical flow")
    clips = [FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in seen]
    size = max(CLIPS_A_BATCH, math.ceil(len(clips) / MAX_BATCHES))
    flows, batches = FLOWS.address(arguments), list[BatchRef]()
    num_missing = 0
    for options in recipes:
        missing = {clip.uri for clip in without_flow(store, clips, options)}
        num_missing += len(missing)
        for first in range(0, len(clips), size):
            batch = clips[first : first + size]
            if any(clip.uri in missing for clip in batch):
                share = flow_recipe_of(options), first // size
                store.write(flows.batch(*share), FlowBatch(options=options, clips=tuple(batch)))
                name = f"{options.flow_method}: clips {first + 1} to {first + len(batch)} of {len(clips)}"
                batches.append(BatchRef(uri=flows.batch(*share).uri, name=name, out=flows.computed(*share).folder_uri))
    methods = ", ".join(options.flow_method for options in recipes)
    if not batches:
        raise NothingToDo(f"the optical flow ({methods}) of all {len(clips)} clips is in the store")
    log.info("the optical flow (%s) of %d clips is not there yet: %d batches", methods, num_missing, len(batches))
    return finish(store, flows, FlowsResult(num_clips=len(clips), num_missing=num_missing, batches=tuple(batches)))


def _wanted(arguments: FlowsArguments, store: Store) -> tuple[Sequence[FlowOptions], Sequence[SeenClip]]:
    """Return the flow options and clips that need flow; empty if none do."""
    if arguments.plan:
        plan = store.read(Output(arguments.plan, PlanResult))
        recipes = different([*flows_of(plan), *(plan.champion.flows if plan.champion else ())])
        return recipes, _dataset_clips(plan.dataset_uri, store) if recipes else ()
    if arguments.configured:
        configured = store.read(Configurations(arguments.configured))
        recipes = different([flow_of(TrainOptions.model_validate_json(one.options)) for one in configured.configurations])
        return recipes, _dataset_clips(configured.dataset_uri, store) if recipes else ()
    assert arguments.prediction is not None  # noqa: S101 - the arguments name exactly one of the three
    prediction = store.read(Output(arguments.prediction, PredictPlanResult))
    recipes = different([options for predictor in prediction.predictors.values() for options in predictor.flows])
    return recipes, _cut_clips(prediction, store) if recipes else ()


def _dataset_clips(dataset_uri: str, store: Store) -> Sequence[SeenClip]:
    return store.read(Dataset(dataset_uri).manifest).clips


def _cut_clips(prediction: PredictPlanResult, store: Store) -> list[ClipRecord]:
    """List the clips of every video that was cut; `predict` says why others were not."""
    clips: list[ClipRecord] = []
    for batch in prediction.batches:
        for video in store.read(batch.uri, PredictionBatch).videos:
            if found := find_cut(store, prediction.store, video.video, prediction.segment):
                clips += found.clips
            else:
                log.warning("%s: was not cut", video.name)
    return clips
