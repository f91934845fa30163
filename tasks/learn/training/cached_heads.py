"""Compare heads on the features that a training has cached: with a plain probe, and at earlier epochs."""

# n: clips, k: crops, t: segments, f: features, v: verbs, o: nouns

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.errors import BadCheckpoint
from tasks.learn.hardware import choose_device
from tasks.learn.inputs.data import ClipDataset, Source
from tasks.learn.inputs.features import FeatureMemory
from tasks.learn.training.job import MEMORY_BYTES, TrainJob, compute_missing, joined_features, open_cache, probe_features, training_clips
from tasks.learn.training.linear_probe import Linear, fit_probe
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
    """Fit a probe to the cached features of the training clips that a training of heads has seen.

    Raises:
        BadDataset, MissingObject, Unavailable: as `compute_features`.
    """
    seen = min(job.options.feature_variants, job.options.epochs)
    plain = {"head": Head.PROBE, "feature_variants": seen}
    job = replace(job, options=job.options.model_copy(update=plain))
    cache = open_cache(job, job.network)
    memory = FeatureMemory(MEMORY_BYTES)
    train: ClipDataset = training_clips(job, lambda view: memory.read(cache, view.name))
    compute_missing(job, choose_device(job.device), cache, train.views(seen))
    features = probe_features(job, train)
    sources = [clip.source or clip.frames.stem for clip in train.clips]
    spec = job.network.spec

    targets = [([clip.verb for clip in train.clips], spec.num_verbs)]
    if job.classes.has_objects:
        targets.append(([clip.noun for clip in train.clips], spec.num_nouns))
    fitted = [fit_probe(features, np.array(labels), sources, num_classes, scores_choice=False) for labels, num_classes in targets]
    verb, *nouns = (linear for linear, _ in fitted)
    return ProbeBeside(verb, nouns[0] if nouns else None, tuple(choice.strength for _, choice in fitted))


def score_heads(job: TrainJob, files: Mapping[int, Path]) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Compute the logits (n, v) and (n, o) of each epoch's heads on the clips of val, averaged over crops.

    Args:
        job: a finished training on cached features; n are its clips of val, in order.
        files: the file of the heads by epoch, as in `EpochFiles.heads`.

    Raises:
        BadCheckpoint: a file is not one of these heads.
        Unavailable: a cached feature is gone.
    """
    read = joined_features(job, choose_device(job.device)) if job.joined else _cached_features(job)
    clips = ClipDataset(job.val, job.network.spec, read, num_crops=job.options.validation_crops)
    head = copy.deepcopy(job.network.head).cpu().eval()
    for epoch, path in files.items():
        try:
            head.load_state_dict(torch.load(path, weights_only=True))
        except (RuntimeError, EOFError, ValueError) as error:
            raise BadCheckpoint(f"{path.name}: not the heads of this training ({error}); train again") from None
        answers = []
        with torch.inference_mode():
            for key in clips.keys(0):
                inputs = clips[key].inputs
                logits = head(inputs if clips.num_crops > 1 else inputs[None])
                answers.append((logits.verb.mean(0).numpy(), logits.noun.mean(0).numpy()))
        verbs, nouns = zip(*answers, strict=True)
        yield epoch, np.stack(verbs), np.stack(nouns)


def _cached_features(job: TrainJob) -> Source:
    cache = open_cache(job, job.network)
    return lambda view: cache.read(view.name)
