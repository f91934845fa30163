"""Lists the clips whose optical flow the planned networks need and the store lacks."""

import math
from collections.abc import Iterable

from tasks.errors import BadConfiguration, NothingToDo
from tasks.options import FlowOptions, Modality, StoreUri, TrainOptions, flow_recipe_of
from tasks.results.comparison import ConfigureResult
from tasks.results.dataset import Manifest
from tasks.results.flow import FlowBatch, FlowClip, FlowsResult
from tasks.results.training import PlanResult
from tasks.results.video import BatchRef
from tasks.steps._flows import without_flow
from tasks.steps._step import StepArguments, finish, log, result_uri
from tasks.storage import Store

MAX_BATCHES = 256
CLIPS_A_BATCH = 16
"""At least: TV-L1 takes minutes a clip and core, so that a batch is long enough to be worth a task, and short enough to be lost."""


class Arguments(StepArguments):
    """The plan whose network is asked, or the configurations of a comparison."""

    plan: StoreUri | None = None
    configured: StoreUri | None = None


def run(arguments: Arguments, store: Store) -> FlowsResult:
    """Write the batches of all clips, the same for the same networks, and list those in which flow is missing.

    Raises:
        BadConfiguration: neither a plan nor configurations are named.
        NothingToDo: no network sees flow, or that of every clip is there.
    """
    dataset_uri, recipes = _wanted(arguments, store)
    if not recipes:
        raise NothingToDo("no network of this run looks at optical flow")
    manifest = store.read(f"{dataset_uri}manifest.json", Manifest)
    clips = [FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in manifest.clips]
    size = max(CLIPS_A_BATCH, math.ceil(len(clips) / MAX_BATCHES))
    batches: list[BatchRef] = []
    num_missing = 0
    for options in recipes:
        missing = {clip.uri for clip in without_flow(store, clips, options)}
        num_missing += len(missing)
        for first in range(0, len(clips), size):
            batch = clips[first : first + size]
            if any(clip.uri in missing for clip in batch):
                place = f"{arguments.out}{flow_recipe_of(options)}/{first // size:04d}"
                store.write(f"{place}.json", FlowBatch(options=options, clips=tuple(batch)))
                name = f"{options.flow_method}: clips {first + 1} to {first + len(batch)} of {len(clips)}"
                batches.append(BatchRef(uri=f"{place}.json", name=name, out=f"{place}/"))
    methods = ", ".join(options.flow_method for options in recipes)
    if not batches:
        raise NothingToDo(f"the optical flow ({methods}) of all {len(clips)} clips is in the store")
    log.info("the optical flow (%s) of %d clips is not there yet: %d batches", methods, num_missing, len(batches))
    return finish(store, arguments.out, FlowsResult(num_clips=len(clips), num_missing=num_missing, batches=tuple(batches)))


def _wanted(arguments: Arguments, store: Store) -> tuple[str, list[FlowOptions]]:
    """The dataset, and how the flow is computed that networks see of it."""
    if arguments.plan:
        plan = store.read(result_uri(arguments.plan), PlanResult)
        members = plan.weights.members
        seen = [member.flow for member in members] if members else [_flow_of(plan.train)]
        return plan.dataset_uri, _different(seen)
    if arguments.configured:
        configured = store.read(result_uri(arguments.configured), ConfigureResult)
        networks = [TrainOptions.model_validate_json(one.options) for one in configured.configurations]
        return configured.dataset_uri, _different([_flow_of(network) for network in networks])
    raise BadConfiguration("flows: name a plan, or the configurations of a comparison")


def _flow_of(network: TrainOptions) -> FlowOptions | None:
    return network.picked(FlowOptions) if network.modality is Modality.FLOW else None


def _different(seen: Iterable[FlowOptions | None]) -> list[FlowOptions]:
    return list({flow_recipe_of(options): options for options in seen if options}.values())
