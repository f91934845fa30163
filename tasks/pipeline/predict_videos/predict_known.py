"""Compute features of sampled training clips, and the distances of source videos from them.

The features are of the model's own backbone. They lie under the run of its training, to be computed once per model.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tasks.data.clips.frame_cache import FramesAhead, passing_frames
from tasks.data.clips.stored_clips import StoredClip, find_cut
from tasks.errors import BadInput
from tasks.judge.statistics.scoring import each_scored
from tasks.keys import content_key
from tasks.learn.engines.choice import spread
from tasks.learn.engines.scorer import centre
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.predict_videos._chosen import dataset_clips
from tasks.pipeline.predict_videos._engines import Frames, make_ready
from tasks.pipeline.predict_videos.contract import KNOWN, PredictionArguments
from tasks.predict.shift import distances_between_sources, reference_sources
from tasks.predict.to_label import Features, from_bytes, to_bytes
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.prediction import KnownClipsResult, PredictPlanResult, ReferenceSource, ReferenceSources
from tasks.store.run_layout import Run

MAX_KNOWN_CLIPS = 300
"""Maximum number of training clips, evenly spaced so that every video has its share. One crop each, a tenth of the work of scoring."""

MAX_REFERENCE_CLIPS, MAX_REFERENCE_SOURCES = 300, 60
"""Maximum number of clips whose distance is measured, and of source videos that share them equally."""


def run(arguments: PredictionArguments, store: Store) -> KnownClipsResult:
    """Write features of the sample and distances of source videos, unless the store has them.

    A clip that cannot be read is left out. Without a known training, or without its clips, there are neither.
    """
    output = KNOWN.address(arguments)
    if earlier := earlier_result(store, output):
        return earlier
    plan = store.read(arguments.planned)
    plan.evaluate.require_current("the prediction")
    if plan.run_uri is None or plan.model_dataset_uri is None:
        reason = f"the store does not have the dataset that {plan.model.label} was trained on"
        return finish(store, output, KnownClipsResult(num_clips=0, features_uri=None, reason=reason))
    clips = dataset_clips(plan, store)
    trained_on = [clip for clip in clips if clip.split == "train"]
    sample, own = spread(trained_on, MAX_KNOWN_CLIPS), Run(plan.run_uri)
    key = _key(plan, sample)
    # The distances depend on the dataset, too, but nothing of its videos is read for their key.
    uri, reference_at = own.known(key), own.reference(content_key({"known": key, "dataset": plan.model_dataset_uri}))
    known, reference = _kept(uri, store), store.read(reference_at).films if store.exists(reference_at.uri) else None
    if known is None or reference is None:
        log.info(
            "looking at %d of the %d clips that %s was trained on, and at other clips of its dataset",
            len(sample),
            len(trained_on),
            plan.model.label,
        )
        compared = _compared(plan, clips, store)
        seen = _seen(plan, sample, compared, trained_on, store)
        read = [clip for clip in sample if clip.uid in seen]
        if not read:
            reason = f"none of {len(sample)} clips that {plan.model.label} was trained on can be read"
            log.warning("novelty is skipped: %s", reason)
            return finish(store, output, KnownClipsResult(num_clips=0, features_uri=None, reason=reason))
        known = np.stack([seen[clip.uid] for clip in read])
        reference = _reference(seen, compared, known, read, clips)
        store.write_bytes(uri, to_bytes(known))
        store.write(reference_at, ReferenceSources(films=reference))
    left_out = f"; {len(sample) - len(known)} could not be read" if len(known) < len(sample) else ""
    reason = f"{len(known)} of {len(trained_on)} training clips{left_out}"
    return finish(store, output, KnownClipsResult(num_clips=len(known), features_uri=uri, reason=reason, reference=reference))


def _compared(plan: PredictPlanResult, clips: Sequence[DatasetClip], store: Store) -> list[StoredClip]:
    """List the clips of the source videos that new ones are compared with.

    They are videos of the dataset, those of test alone if the videos of train taught the backbone. Up to `MAX_REFERENCE_SOURCES` share the
    clips equally, because a source video is scored by as many clips as the shortest has. Videos of val do not serve alone: a split keeps
    videos with an action of their own in train, so that videos of val lie nearer to it than new ones. Unlabelled clips count, because new
    videos have them, too, but not where they need optical flow that nobody computed.
    """
    by_source: dict[str, dict[str, list[StoredClip]]] = {}
    for clip in clips:
        if plan.has_published_backbone or clip.split == "test":
            by_source.setdefault(clip.source, {}).setdefault(clip.video, []).append(clip)
    compared: list[StoredClip] = []
    chosen = spread(sorted(by_source), MAX_REFERENCE_SOURCES)
    for by_video in map(by_source.__getitem__, chosen):
        own: list[StoredClip] = []
        for video in sorted(by_video):
            cut = None if plan.model.flows else find_cut(store, plan.store, video, plan.segment)
            own += cut.clips if cut else by_video[video]
        compared += spread(own, MAX_REFERENCE_CLIPS // len(chosen))
    return compared


def _reference(
    seen: Mapping[str, Features],
    compared: Iterable[StoredClip],
    known: Features,
    known_clips: Iterable[DatasetClip],
    clips: Iterable[DatasetClip],
) -> tuple[ReferenceSource, ...]:
    """Measure how far compared clips lie from known clips of other source videos."""
    sources = {clip.video: clip.source for clip in clips}
    read = [clip for clip in compared if clip.uid in seen]
    if not read:
        return ()
    own_sources = [sources[clip.video] for clip in read]
    own = np.stack([seen[clip.uid] for clip in read])
    distances = distances_between_sources(own, own_sources, known, [clip.source for clip in known_clips])
    return reference_sources(distances, own_sources, {clip.source: clip.split for clip in clips})


def _key(plan: PredictPlanResult, sample: Sequence[StoredClip]) -> str:
    """Hash everything that the features depend on."""
    return content_key(
        {
            "checkpoint": plan.model.checkpoint_sha256,
            "clips": [clip.sha256 for clip in sample],
            "engine": plan.evaluate.engine,
            "code": load(MachineSettings).code_version,
        }
    )


def _kept(uri: str, store: Store) -> Features | None:
    if not store.exists(uri):
        return None
    try:
        return from_bytes(store.read_bytes(uri), uri)
    except BadInput as error:
        log.warning("computing the features again: %s", error)
        return None


def _seen(
    plan: PredictPlanResult, sample: Sequence[DatasetClip], compared: Sequence[StoredClip], trained_on: Sequence[DatasetClip], store: Store
) -> dict[str, Features]:
    """Compute features of the model's first backbone of each readable clip, by uid."""
    keep_to_one_gpu()
    keep_freed_memory()
    clips = list({clip.uid: clip for clip in (*sample, *compared)}.values())
    with passing_frames() as frames:
        ready = make_ready(plan.model, clips, trained_on, wanted=plan.evaluate.engine, num_crops=1, store=store, frames=frames)
        with FramesAhead(store, clips, ready.specs, frames) as ahead:

            def load_or_none(clip: StoredClip) -> list[Frames] | None:
                try:
                    return ahead.load(clip)
                except BadInput as error:
                    log.warning("left out: clip %s: %s", clip.uid, error)
                    return None

            def see(inputs: list[Frames] | None) -> Features | None:
                return None if inputs is None else centre(ready.scorer.see(inputs)).numpy()

            return {scored.clip.uid: scored.answer for scored in each_scored(clips, load_or_none, see) if scored.answer is not None}
