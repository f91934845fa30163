"""Train the heads of a search's trials on cached features, and score their last epochs.

Without a backbone or files after each epoch, a trial of some dozen clips takes about half a second. Module, callbacks and random draws are
those of `fit`, so the heads are the same, bit for bit.
"""

# k: crops, t: segments, f: features, v: verbs, n: nouns

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import nn

from tasks.errors import BadConfiguration, BadInput
from tasks.learn.engines.engine import clip_logits, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.hardware import WantedDevice, choose_device
from tasks.learn.inputs.crops import NumCrops
from tasks.learn.inputs.data import CachedClip, View
from tasks.learn.inputs.features import FeatureCache, FeatureMemory, training_features
from tasks.learn.inputs.snippets import read_tested
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames
from tasks.learn.training.epochs import EpochKeeper, EpochRecord
from tasks.learn.training.fit import one_thread, require_possible, run_epochs
from tasks.learn.training.job import TrainJob, compute_missing, set_up_heads, views_of
from tasks.learn.training.optimizer import CrossEntropies
from tasks.store.records.record import TARGETS, VERB_ALONE, Target

Opened = tuple[Network, FeatureCache, FeatureCache]
"""A network without its backbone, and its caches for training and score."""

MEMORY_BYTES = 512 * 1024**2
"""Features that stay in memory for the next trials."""


@dataclass(frozen=True)
class TrialJob:
    """One training of heads, and the crops of its score on the validation clips.

    `train` is a job for `fit` in a single process, with a folder of features. Trials may share its network, whose weights stay as they are.
    """

    train: TrainJob
    num_crops: NumCrops


@dataclass(frozen=True)
class TrialOutcome:
    """Result of a trial, whose `loss` and `right` are of its last epoch.

    The best epoch would be chosen on the clips that score it. `loss` is the mean over the scored clips in nats. `right` has, per trained
    target, one digit per scored clip: 1 if the answer is right. Clips in which nothing happens are not scored.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    loss: float
    right: dict[Target, str]


@dataclass(frozen=True)
class HeadTrial:
    """A trial of heads without a backbone; training reads `trained`, the score `scored` in float32."""

    job: TrialJob
    trained: FeatureCache
    scored: FeatureCache


def score_network(
    network: Network, classes: ClassNames, clips: Sequence[CachedClip], num_crops: NumCrops, device: WantedDevice
) -> tuple[float, dict[Target, str]]:
    """Score a trained network in float32; return `loss` and `right` as in `TrialOutcome`.

    Raises:
        BadConfiguration: the loss is not finite.
    """
    engine = PytorchEngine(prepare(network, choose_device(device)), num_crops)
    return _score(lambda frames: engine.score(read_tested(frames, network.spec)), clips, classes)


def open_network(network: Network, root: Path, precision: str) -> Opened:
    """Copy a network without its backbone, and open its caches, which hashes weights."""
    head_alone = deepcopy(network, {id(network.backbone): nn.Identity()})
    return head_alone, training_features(root, network, precision), training_features(root, network, "32-true")


def prepare_head_trial(job: TrialJob, opened: Callable[[Network, Path, str], Opened] = open_network) -> HeadTrial:
    """Compute a trial's missing features; `opened` is `open_network`, or a cache of it.

    Raises:
        BadConfiguration, BadDataset, MissingObject, Unavailable: as `fit`.
    """
    train = replace(job.train, options=job.train.options.as_trained())
    assert train.features is not None  # noqa: S101 - for mypy; callers check `caches_features`
    device = choose_device(train.device)
    require_possible(train, device)
    head_alone, trained, scored = opened(train.network, train.features, train.options.precision)
    compute_missing(train, device, trained, views_of(train))
    exactly = replace(train, options=train.options.model_copy(update={"precision": "32-true"}))
    num_crops = train.network.spec.num_crops(job.num_crops)
    compute_missing(exactly, device, scored, [view for clip in train.val for view in _test_views(clip.frames, num_crops)])
    return HeadTrial(replace(job, train=replace(train, network=head_alone)), trained, scored)


def run_head_trial(trial: HeadTrial, memory: FeatureMemory) -> TrialOutcome:
    """Train and score heads with one thread.

    Raises:
        BadConfiguration: as `fit`, or the score's loss is not finite.
        Unavailable: as `fit`.
    """
    train, num_crops = trial.job.train, trial.job.train.network.spec.num_crops(trial.job.num_crops)
    with one_thread():
        network, keeper, best_epoch = train_heads(trial, memory)

        def answer(frames: Path) -> Logits:
            return clip_logits(network, torch.stack([memory.read(trial.scored, view.name) for view in _test_views(frames, num_crops)]))

        loss, right = _score(answer, train.val, train.classes)
    return TrialOutcome(tuple(keeper.history), best_epoch, keeper.stopped_early, loss, right)


def train_heads(trial: HeadTrial, memory: FeatureMemory) -> tuple[Network, EpochKeeper, int]:
    """Train heads; return the network with the last ones, the keeper, and the best epoch.

    Raises:
        BadConfiguration, Unavailable: as `fit`.
    """
    train = replace(trial.job.train, network=deepcopy(trial.job.train.network))
    device = choose_device(train.device)
    setup = set_up_heads(train, device, lambda view: memory.read(trial.trained, view.name))
    keeper, best_epoch, _ = run_epochs(train, device, setup, writes=False)
    return train.network.cpu().eval(), keeper, best_epoch


def _test_views(frames: Path, num_crops: NumCrops) -> list[View]:
    return [View(frames, number=number, num_crops=num_crops) for number in range(num_crops)]


def _score(answer: Callable[[Path], Logits], clips: Sequence[CachedClip], classes: ClassNames) -> tuple[float, dict[Target, str]]:
    """Compute the mean loss, and the digits of right answers by target.

    `answer` returns the logits, (v,) and (n,), of the frames of one clip.
    """
    clips = [clip for clip in clips if clip.verb != classes.nothing]
    logits = Logits.stacked(answer(clip.frames) for clip in clips)
    verbs, nouns = torch.tensor([clip.verb for clip in clips]), torch.tensor([clip.noun for clip in clips])
    loss = float(CrossEntropies(has_objects=classes.has_objects)(logits, verbs, nouns).total.mean())
    if not math.isfinite(loss):
        raise BadConfiguration("the test logits are not finite; lower the learning rate")
    verb_right, noun_right = logits.verb.argmax(1) == verbs, logits.noun.argmax(1) == nouns
    rights = dict(zip(TARGETS, (verb_right, noun_right, verb_right & noun_right), strict=True))
    targets = TARGETS if classes.has_objects else VERB_ALONE
    return loss, {target: "".join(str(int(is_right)) for is_right in rights[target]) for target in targets}


@dataclass(frozen=True)
class TrialFailure:
    """Reason why a trial has no result, for people."""

    reason: str


def run_trials(jobs: Sequence[TrialJob]) -> Iterator[TrialOutcome | TrialFailure]:
    """Train and score each job, in this order.

    Jobs may share a network object; its feature caches are then opened once.

    Raises:
        Unavailable: features or frames are damaged or do not fit on the disk, or SIGTERM arrived.
    """
    opened, memory = cache(open_network), FeatureMemory(MEMORY_BYTES)
    for job in jobs:
        try:
            outcome = run_head_trial(prepare_head_trial(job, opened), memory)
        except (BadConfiguration, BadInput) as error:
            yield TrialFailure(str(error))
        else:
            yield outcome
