"""Fit a plain probe to the features that a training saw, to compare them."""

# n: clips, t: segments, k: crops, f: features

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.learn.data import ClipDataset
from tasks.learn.feature_cache import FeatureMemory
from tasks.learn.features import training_features
from tasks.learn.hardware import choose_device
from tasks.learn.job import TrainJob
from tasks.learn.parts import MEMORY_BYTES, compute, probe_features, training_clips
from tasks.learn.probe import Linear, fit_probe
from tasks.options import Head


@dataclass(frozen=True)
class ProbeBeside:
    """Fitted heads with the C of each; no noun head if only verbs are trained."""

    verb: Linear
    noun: Linear | None
    strengths: tuple[float, ...]

    def predict(self, features: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Predict the verb and noun ids (n,) of mean features (n, f)."""
        return self.verb(features).argmax(1), self.noun(features).argmax(1) if self.noun else None


def fit_beside(job: TrainJob) -> ProbeBeside:
    """Fit a probe to the views of the training clips that a training has seen.

    `job` trains heads on cached features.

    Raises:
        BadDataset, MissingObject, Unavailable: as `compute_features`.
    """
    root = job.features
    assert root is not None  # noqa: S101 - for mypy; the caller has checked `caches_features`
    seen = min(job.options.feature_variants, job.options.epochs)
    plain = {"head": Head.PROBE, "feature_variants": seen, "sampler": "shuffled"}
    job = replace(job, options=job.options.model_copy(update=plain))
    cache = training_features(root, job.network, job.options.precision)
    memory = FeatureMemory(MEMORY_BYTES)
    train: ClipDataset = training_clips(job, lambda view: memory.read(cache, view.name))
    compute(job, choose_device(job.device), cache, train.views(seen))
    features = probe_features(job, train)
    sources = [clip.source or clip.frames.stem for clip in train.clips]
    spec = job.network.spec

    def fitted(labels: Sequence[int], num_classes: int) -> tuple[Linear, float]:
        linear, choice = fit_probe(features, np.array(labels), sources, num_classes, scores_choice=False)
        return linear, choice.strength

    verb, verb_strength = fitted([clip.verb for clip in train.clips], spec.num_verbs)
    if not job.classes.has_objects:
        return ProbeBeside(verb, None, (verb_strength,))
    noun, noun_strength = fitted([clip.noun for clip in train.clips], spec.num_nouns)
    return ProbeBeside(verb, noun, (verb_strength, noun_strength))
