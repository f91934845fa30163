"""List the clips whose optical flow networks need and the store lacks."""

import math

from tasks.data.clips.flow_and_sound import without_flow
from tasks.errors import NothingToDo
from tasks.keys import flow_recipe_of
from tasks.pipeline._results import finish, log
from tasks.pipeline.retrain._networks import needs_of
from tasks.pipeline.retrain.contract import FLOWS, NetworksArguments
from tasks.store.objects import Store
from tasks.store.records.video import BatchRef, FlowBatch, FlowClip, FlowsResult

MAX_BATCHES = 256
CLIPS_A_BATCH = 16
"""Minimum batch size: long enough for a task, short enough to repeat. TV-L1 takes minutes per clip on a core."""


def run(arguments: NetworksArguments, store: Store) -> FlowsResult:
    """Write the batches of clips that lack flow; raise NothingToDo if there are none."""
    needs = needs_of(arguments, store)
    if not needs.flows:
        raise NothingToDo("no network of this run looks at optical flow")
    clips = [FlowClip(uid=clip.uid, uri=clip.uri, num_frames=clip.num_frames) for clip in needs.clips()]
    # Of all clips, so that equal networks have equal batches.
    size = max(CLIPS_A_BATCH, math.ceil(len(clips) / MAX_BATCHES))
    flows, batches = FLOWS.address(arguments), list[BatchRef]()
    num_missing = 0
    for options in needs.flows:
        missing = {clip.uri for clip in without_flow(store, clips, options)}
        num_missing += len(missing)
        for first in range(0, len(clips), size):
            batch = clips[first : first + size]
            if any(clip.uri in missing for clip in batch):
                share = flow_recipe_of(options), first // size
                store.write(flows.batch(*share), FlowBatch(options=options, clips=tuple(batch)))
                name = f"{options.flow_method}: clips {first + 1} to {first + len(batch)} of {len(clips)}"
                batches.append(BatchRef(uri=flows.batch(*share).uri, name=name, out=flows.computed(*share).folder_uri))
    methods = ", ".join(options.flow_method for options in needs.flows)
    if not batches:
        raise NothingToDo(f"the optical flow ({methods}) of all {len(clips)} clips is in the store")
    log.info("the optical flow (%s) of %d clips is not there yet: %d batches", methods, num_missing, len(batches))
    return finish(store, flows, FlowsResult(num_clips=len(clips), num_missing=num_missing, batches=tuple(batches)))
