"""Lists the clips whose optical flow a planned network needs and the store lacks."""

import math

from tasks.errors import NothingToDo
from tasks.options import FlowOptions, Modality, StoreUri
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
    """The plan whose network is asked."""

    plan: StoreUri


def run(arguments: Arguments, store: Store) -> FlowsResult:
    """Write the batches of all clips, the same for the same plan, and list those in which flow is missing.

    Raises:
        NothingToDo: the network sees no flow, or that of every clip is there.
    """
    plan = store.read(result_uri(arguments.plan), PlanResult)
    if plan.train.modality is not Modality.FLOW:
        raise NothingToDo(f"the network looks at {plan.train.modality.value}, which needs no optical flow")
    manifest = store.read(f"{plan.dataset_uri}manifest.json", Manifest)
    options = plan.train.picked(FlowOptions)
    clips = [FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in manifest.clips]
    missing = {clip.uri for clip in without_flow(store, clips, options)}
    if not missing:
        raise NothingToDo(f"the optical flow ({options.flow_method}) of all {len(clips)} clips is in the store")
    size = max(CLIPS_A_BATCH, math.ceil(len(clips) / MAX_BATCHES))
    batches = []
    for first in range(0, len(clips), size):
        batch = clips[first : first + size]
        if any(clip.uri in missing for clip in batch):
            place = f"{arguments.out}{first // size:04d}"
            store.write(f"{place}.json", FlowBatch(options=options, clips=tuple(batch)))
            name = f"clips {first + 1} to {first + len(batch)} of {len(clips)}"
            batches.append(BatchRef(uri=f"{place}.json", name=name, out=f"{place}/"))
    log.info("%d of %d clips have no optical flow (%s) yet: %d batches", len(missing), len(clips), options.flow_method, len(batches))
    return finish(store, arguments.out, FlowsResult(num_clips=len(clips), num_missing=len(missing), batches=tuple(batches)))
