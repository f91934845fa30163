"""Epoch-wise double descent, shown with the training of the heads and told by the statistics of the report.

Features as in Heckel and Yilmaz 2020 (arXiv 2007.10099): some are large and weak, others small and strong. The heads learn by the large
ones first and fit altered labels with them, which raises the error; the small ones, learned many epochs later, lower it again.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.judge.statistics.long_training import KeptAnswers, long_training
from tasks.judge.statistics.scoring import ScoredClips, with_nouns_given
from tasks.learn.inputs.data import CachedClip, ClipDataset
from tasks.learn.inputs.features import training_features
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.learn.training.cached_heads import score_heads
from tasks.learn.training.epochs import head_file
from tasks.learn.training.fit import TrainJob, fit
from tasks.learn.training.progress import is_power_of_two
from tasks.options import TrainOptions
from tasks.store.records.dataset import NO_OBJECT, ClassRef, Vocabulary
from tasks.store.records.training import Epoch

NUM_VERBS, NUM_TRAIN, NUM_VAL, CLIPS_A_VIDEO = 3, 120, 300, 5
NUM_LARGE, NUM_SMALL, SMALL_SCALE = 24, 4, 0.03
LARGE_SIGNAL, SMALL_SIGNAL = 2.5, 12.0
SPEC = NetworkSpec(backbone="test_resnet", num_segments=1, num_verbs=NUM_VERBS, num_nouns=1)
WORDS = Vocabulary(verbs=tuple(ClassRef(id=i, name=f"verb {i}") for i in range(NUM_VERBS)), nouns=(ClassRef(id=0, name=NO_OBJECT),))
OPTIONS = TrainOptions(
    backbone="test_resnet",
    num_segments=1,
    epochs=256,
    validate_every=64,
    batch_size=120,
    learning_rate=1,
    optimizer="sgd",
    trainable="heads",
    train_frames="middle",
    crop="centre",
    mirror=False,
)


def drawn(rng, means, verbs):
    """Features (n, 28) around the mean of their verb."""
    noise = rng.normal(size=(len(verbs), NUM_LARGE + NUM_SMALL))
    scales = np.repeat([1.0, SMALL_SCALE], [NUM_LARGE, NUM_SMALL])
    return scales * (means[verbs] + noise)


def length(rows, norm):
    return norm * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planned(folder: Path, label_noise: float) -> TrainJob:
    """A training on features that are cached already."""
    rng = np.random.default_rng(1)
    large, small = (length(rng.normal(size=(NUM_VERBS, n)), signal) for n, signal in ((NUM_LARGE, LARGE_SIGNAL), (NUM_SMALL, SMALL_SIGNAL)))
    verbs = rng.integers(NUM_VERBS, size=NUM_TRAIN + NUM_VAL)
    names = [hashlib.sha256(bytes([i // 256, i % 256])).hexdigest()[:16] for i in range(len(verbs))]
    clips = [CachedClip(Path(f"{name}.npy"), int(verb), 0) for name, verb in zip(names, verbs, strict=True)]
    options = OPTIONS.model_copy(update={"label_noise": label_noise})
    classes = ClassNames(verbs=tuple("abc"), nouns=("x",), has_objects=False)
    train, val = clips[:NUM_TRAIN], clips[NUM_TRAIN:]
    job = TrainJob(Network(SPEC, seed=1), classes, train, val, options, folder / "run", device="cpu", features=folder / "features")
    cache = training_features(folder / "features", job.network, "32-true")
    cache.make_room(len(clips))
    rows = drawn(rng, np.hstack([large, small]), verbs)
    for view, row in zip(ClipDataset(clips, SPEC, lambda _: torch.empty(0)).views(1), rows, strict=True):
        features = torch.zeros(cache.shape)
        features[:, : len(row)] = torch.from_numpy(row)
        cache.write(view.name, features)
    return job


def measured(folder: Path, label_noise: float):
    job = planned(folder, label_noise)
    outcome = fit(job)
    epochs = [number - 1 for number in range(1, OPTIONS.epochs + 1) if is_power_of_two(number) or number == OPTIONS.epochs]
    files = {epoch: job.folder / head_file(epoch + 1) for epoch in epochs}
    verbs = np.array([clip.verb for clip in job.val])
    names, videos = zip(*((str(i), f"video {i // CLIPS_A_VIDEO}") for i in range(len(verbs))), strict=True)
    kept = []
    for epoch, *logits in score_heads(job, files):
        kept.append(KeptAnswers.of(epoch, with_nouns_given(ScoredClips(names, videos, verbs, 0 * verbs, *logits), WORDS), WORDS))
    unscored = dict.fromkeys(("val_loss", "val_verb_top1", "val_noun_top1", "val_action_top1"))
    history = [Epoch(epoch=r.epoch, train_loss=r.train.loss, train_verb_top1=r.train.verb_top1, **unscored) for r in outcome.history]
    return long_training(kept, history, "verb")


@pytest.mark.long
def test_altered_labels_give_a_second_descent_and_the_labels_as_they_are_none(tmp_path):
    noisy, clean = measured(tmp_path / "noisy", 0.4), measured(tmp_path / "clean", 0)
    assert noisy.outcome == "second descent"
    assert noisy.rise.difference > 0.1
    assert noisy.fall.difference < -0.1
    assert noisy.fitted_epoch is None
    assert clean.outcome != "second descent"
    assert clean.fitted_epoch is not None
    assert all(ours.error < theirs.error for ours, theirs in zip(clean.scores, noisy.scores, strict=True))
