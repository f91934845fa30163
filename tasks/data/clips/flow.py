"""Compute optical flow once per clip; cache it next to the clip in the store."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.data.clips.clips import AnyClip, C, derive_each
from tasks.data.video.flow import FlowMaker
from tasks.data.video.frames import FLOW_SUFFIX, num_fields
from tasks.keys import flow_recipe_of
from tasks.learn.networks.spec import SHORT_SIDE, SNIPPETS
from tasks.options import FlowOptions, Modality
from tasks.settings import MachineSettings, load
from tasks.store.layout import flow_of_clip, folders_of
from tasks.store.objects import Store
from tasks.store.records.record import SetAside

MAX_AT_ONCE = 8


@dataclass(frozen=True)
class Computed:
    """The result of `compute_flow`; `set_aside` lists clips without flow, with the reason."""

    num_clips: int
    num_fields: int
    seconds: float
    set_aside: tuple[SetAside, ...]

    @property
    def fields_per_second(self) -> float:
        """Compute the throughput, including download, decoding, flow and upload."""
        return self.num_fields / self.seconds if self.num_fields else 0.0


def flow_uri(clip_uri: str, options: FlowOptions) -> str:
    """Return the address of a clip's flow."""
    return flow_of_clip(clip_uri, flow_recipe_of(options))


def without_flow(store: Store, clips: Sequence[C], options: FlowOptions) -> list[C]:
    """Select the clips whose flow is not in the store."""
    wanted = [flow_uri(clip.uri, options) for clip in clips]
    there = {listed.uri for folder in folders_of(wanted) for listed in store.list(folder)}
    return [clip for clip, uri in zip(clips, wanted, strict=True) if uri not in there]


def shortness(clip: AnyClip) -> str | None:
    """Explain why this clip shows a network less motion than others do; None if it does not."""
    num, wanted = num_fields(clip.num_frames), SNIPPETS[Modality.FLOW].num_frames
    if clip.num_frames == 1:
        return f"a single frame shows no motion; one field of zero motion is repeated for the {wanted} that a network needs"
    if num < wanted:
        return f"{clip.num_frames} frames make {num} fields of flow, but a network needs {wanted} in a row; the last is repeated"
    return None


def compute_flow(store: Store, clips: Sequence[AnyClip], options: FlowOptions) -> Computed:
    """Compute the flow of these clips and upload it to the store; set those aside that cannot be read."""
    started = time.monotonic()
    num_all = 0

    def compute(clip: AnyClip, source: Path) -> int:
        made = source.with_suffix(FLOW_SUFFIX)
        num = maker.write(source, made, num_frames=clip.num_frames, short_side=SHORT_SIDE)
        store.write_file(flow_uri(clip.uri, options), made)
        return num

    def report(num: int) -> str:
        nonlocal num_all
        num_all += num
        return f"{num} fields, {num_all / (time.monotonic() - started):.1f} fields/s"

    with FlowMaker(options, load(MachineSettings).num_processes) as maker:
        # One clip cannot keep many threads busy, and too many delay the first upload.
        at_once = min(MAX_AT_ONCE, 1 + maker.num_threads // 4)
        set_aside = derive_each(store, clips, compute, report, kind="flow", num_at_once=at_once, failed="has no optical flow")
    return Computed(len(clips) - len(set_aside), num_all, time.monotonic() - started, set_aside)
