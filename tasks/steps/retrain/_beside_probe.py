"""Let a plain probe answer from the features that a trained network was scored on, where training clips are few."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.errors import RetakeError
from tasks.model.beside_probe import fit_beside
from tasks.model.engines.shared import SharedFeatures
from tasks.options import Head
from tasks.results.dataset import DatasetClip, Manifest
from tasks.results.probe import ProbeAnswers
from tasks.results.training import PlanResult
from tasks.steps._step import log
from tasks.steps._training import fetch_inputs
from tasks.steps.retrain._few_clips import FEW_CLIPS
from tasks.store.objects import Store


def probe_answers(
    plan: PlanResult, manifest: Manifest, clips: Sequence[DatasetClip], shared: SharedFeatures | None, store: Store, folder: Path
) -> ProbeAnswers | None:
    """Let a probe answer `clips`, whose features are shared; None if there is nothing to compare with, or if it fails."""
    num_training_clips = sum(clip.split == "train" for clip in manifest.clips)
    is_few = 0 < num_training_clips < FEW_CLIPS
    if plan.weights.members or plan.train.trainable != "heads" or plan.train.head is Head.PROBE or not is_few or shared is None:
        return None
    try:
        return _answers(plan, manifest, clips, shared, store, folder)
    except RetakeError as error:
        log.warning("the report does not compare the network with a plain probe: %s", error)
        return None


def _answers(
    plan: PlanResult, manifest: Manifest, clips: Sequence[DatasetClip], shared: SharedFeatures, store: Store, folder: Path
) -> ProbeAnswers | None:
    seen = [features for clip in clips if (features := shared.mean(clip.sha256)) is not None]
    if len(seen) < len(clips):
        return None
    job, _ = fetch_inputs(plan, manifest, store, folder, devices=1)
    probe = fit_beside(replace(job, num_workers=0))
    verbs, nouns = probe.predict(np.stack(seen))
    verb_right = verbs == np.array([clip.verb_class for clip in clips])
    right = {"verb": verb_right}
    if nouns is not None:
        noun_right = nouns == np.array([clip.noun_class for clip in clips])
        right |= {"noun": noun_right, "action": verb_right & noun_right}
    return ProbeAnswers(
        num_training_clips=len(job.train),
        strengths=dict(zip(("verb", "noun"), probe.strengths, strict=False)),
        right={target: "".join(str(int(one)) for one in right[target]) for target in manifest.vocabulary.targets if target in right},
    )
