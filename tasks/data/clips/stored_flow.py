"""Compute optical flow once per clip; cache it next to the clip in the store."""

import logging
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tasks.data.clips.clip_properties import SeenClip
from tasks.data.video.fields import FLOW_SUFFIX, num_fields
from tasks.data.video.flow import FlowMaker
from tasks.errors import BadVideo, MissingObject
from tasks.keys import flow_recipe_of
from tasks.learn.networks.spec import SHORT_SIDE, SNIPPETS
from tasks.options import FlowOptions, Modality
from tasks.settings import MachineSettings, load
from tasks.store.layout import flow_of_clip, folders_of
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.wording import plain_reason

log = logging.getLogger("retake")

MAX_AT_ONCE = 8


C = TypeVar("C", bound=SeenClip)


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
    there = {found.uri for folder in folders_of(wanted) for found in store.list(folder)}
    return [clip for clip, uri in zip(clips, wanted, strict=True) if uri not in there]


def shortness(clip: SeenClip) -> str | None:
    """Explain why this clip shows a network less motion than others do.

    None if it does not.
    """
    found, wanted = num_fields(clip.num_frames), SNIPPETS[Modality.FLOW].num_frames
    if clip.num_frames == 1:
        return f"a single frame shows no motion; one field of zero motion is repeated for the {wanted} that a network needs"
    if found < wanted:
        return f"{clip.num_frames} frames make {found} fields of flow, but a network needs {wanted} in a row; the last is repeated"
    return None


def compute_flow(store: Store, clips: Sequence[SeenClip], options: FlowOptions) -> Computed:
    """Compute the flow of these clips and upload it to the store.

    Clips that cannot be read are set aside.
    """
    started = time.monotonic()
    num_fields, set_aside = 0, []
    with (
        tempfile.TemporaryDirectory(prefix="retake-flow-") as name,
        FlowMaker(options, load(MachineSettings).num_processes) as maker,
        ThreadPoolExecutor(clips_at_once(maker.num_threads), thread_name_prefix="flow-clips") as pool,
    ):
        jobs = [pool.submit(_keep, store, clip, options, maker, Path(name) / f"{number}.mp4") for number, clip in enumerate(clips)]
        try:
            for number, (clip, job) in enumerate(zip(clips, jobs, strict=True), 1):
                outcome = job.result()
                if isinstance(outcome, SetAside):
                    set_aside.append(outcome)
                    log.warning("%d of %d clips: %s has no optical flow: %s", number, len(clips), clip.uri, outcome.reason)
                else:
                    num_fields += outcome
                    speed = num_fields / (time.monotonic() - started)
                    log.info("%d of %d clips: %s: %d fields, %.1f fields/s", number, len(clips), clip.uid, outcome, speed)
        finally:
            pool.shutdown(cancel_futures=True)
    return Computed(len(clips) - len(set_aside), num_fields, time.monotonic() - started, tuple(set_aside))


def clips_at_once(num_threads: int) -> int:
    """Compute how many clips share the threads.

    One clip cannot keep many threads busy, and too many delay the first upload.
    """
    return min(MAX_AT_ONCE, 1 + num_threads // 4)


def _keep(store: Store, clip: SeenClip, options: FlowOptions, maker: FlowMaker, source: Path) -> int | SetAside:
    """Compute and upload one clip's flow.

    Returns its number of fields, or why there is none. `source` is a temporary path.
    """
    made = source.with_suffix(FLOW_SUFFIX)
    try:
        store.read_file(clip.uri, source)
        num_fields = maker.write(source, made, num_frames=clip.num_frames, short_side=SHORT_SIDE)
        store.write_file(flow_uri(clip.uri, options), made)
    except MissingObject:
        return SetAside(name=clip.uid, reason="the clip is not in the store")
    except BadVideo as error:
        return SetAside(name=clip.uid, reason=plain_reason(error, source.name))
    finally:
        source.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
    return num_fields
