"""Compute the optical flow of a batch of clips; skip clips that have it."""

import os

from tasks.data.clips.flow_and_sound import compute_flow, shortness, without_flow
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.retrain.contract import FLOW, FlowArguments
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import FlowBatch, FlowResult


def run(arguments: FlowArguments, store: Store) -> FlowResult:
    """Compute missing flow on all cores beside its clips; set unreadable clips aside."""
    output = FLOW.address(arguments)
    batch = store.read(arguments.batch, FlowBatch)
    missing = without_flow(store, batch.clips, batch.options)
    earlier = earlier_result(store, output)
    if earlier and not missing:
        return earlier
    warnings = [SetAside(name=clip.uid, reason=reason) for clip in batch.clips if (reason := shortness(clip))]
    for warning in warnings:
        log.warning("%s: %s", warning.name, warning.reason)
    num_cores = load(MachineSettings).num_processes or len(os.sched_getaffinity(0))
    log.info("computing the flow of %d of %d clips by %s on %d cores", len(missing), len(batch.clips), batch.options.flow_method, num_cores)
    done = compute_flow(store, missing, batch.options)
    if earlier and not done.num_clips:
        return earlier
    result = FlowResult(
        num_clips=len(batch.clips),
        num_computed=done.num_clips,
        num_fields=done.num_fields,
        seconds=round(done.seconds, 3),
        fields_per_second=round(done.fields_per_second, 3),
        warnings=tuple(warnings),
        set_aside=done.set_aside,
    )
    return finish(store, output, result)
