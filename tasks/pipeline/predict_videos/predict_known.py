"""Compute features of a sample of the model's training clips, to measure novelty by.

They come from this model's own backbone and lie under its training's run: computed once per model, whatever it predicts later.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.data.clips.frame_cache import FramesAhead, passing_frames
from tasks.errors import BadInput
from tasks.judge.statistics.scoring import each_scored
from tasks.keys import content_key
from tasks.learn.engines.choice import spread
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.inputs.describe_sound import describer
from tasks.pipeline._step import finish, finished, log
from tasks.pipeline.predict_videos._chosen import training_clips
from tasks.pipeline.predict_videos._ready import Frames, make_ready
from tasks.pipeline.predict_videos.contract import KNOWN, PredictKnownArguments
from tasks.predict.to_label import Features, from_bytes, to_bytes
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.experiments import KnownClipsResult, PredictPlanResult
from tasks.store.runs import Run
from tasks.store.stored import Output

MAX_KNOWN_CLIPS = 300
"""Maximum number of training clips, evenly spaced so that every video has its share. One crop each, a tenth of the work of scoring."""


def run(arguments: PredictKnownArguments, store: Store) -> KnownClipsResult:
    """Write the features of the sample, unless they lie in the store.

    A clip that cannot be read is left out. Without a known training, or without its clips, there are no features.
    """
    output = KNOWN.address(arguments)
    if earlier := finished(store, output):
        return earlier
    plan = store.read(Output(arguments.plan, PredictPlanResult))
    if plan.run_uri is None or plan.model_dataset_uri is None:
        reason = f"the store does not have the dataset that {plan.model.label} was trained on"
        return finish(store, output, KnownClipsResult(num_clips=0, features_uri=None, reason=reason))
    trained_on = training_clips(plan, store)
    sample = spread(trained_on, MAX_KNOWN_CLIPS)
    uri = Run(plan.run_uri).known(_key(plan, sample))
    known = _kept(uri, store)
    if known is None:
        log.info("looking at %d of the %d clips that %s was trained on", len(sample), len(trained_on), plan.model.label)
        known = _seen(plan, sample, trained_on, store)
        if known is None:
            reason = f"none of {len(sample)} clips that {plan.model.label} was trained on can be read"
            log.warning("novelty is skipped: %s", reason)
            return finish(store, output, KnownClipsResult(num_clips=0, features_uri=None, reason=reason))
        store.write_bytes(uri, to_bytes(known))
    left_out = f"; {len(sample) - len(known)} could not be read" if len(known) < len(sample) else ""
    reason = f"{len(known)} of {len(trained_on)} training clips{left_out}"
    return finish(store, output, KnownClipsResult(num_clips=len(known), features_uri=uri, reason=reason))


def _key(plan: PredictPlanResult, sample: Sequence[DatasetClip]) -> str:
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


def _seen(plan: PredictPlanResult, sample: Sequence[DatasetClip], trained_on: Sequence[DatasetClip], store: Store) -> Features | None:
    """Compute features (m, f) of the model's first backbone; None without a readable clip."""
    keep_to_one_gpu()
    keep_freed_memory()
    with passing_frames() as frames, tempfile.TemporaryDirectory(prefix="retake-known-") as name:
        ready = make_ready(
            plan.model, sample, trained_on, wanted=plan.evaluate.engine, num_crops=1, store=store, folder=Path(name), frames=frames
        )
        with FramesAhead(store, sample, ready.specs, frames, describer=describer) as ahead:

            def load_or_none(clip: DatasetClip) -> list[Frames] | None:
                try:
                    return ahead.load(clip)
                except BadInput as error:
                    log.warning("left out: training clip %s: %s", clip.uid, error)
                    return None

            def see(inputs: list[Frames] | None) -> Features | None:
                return None if inputs is None else ready.scorer.score_and_see(inputs)[1].numpy()

            features = [scored.answer for scored in each_scored(sample, load_or_none, see) if scored.answer is not None]
    return np.stack(features) if features else None
