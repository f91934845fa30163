"""Train the heads of one trial of a search on cached features, and score its best epoch.

There are no files after each epoch and there is no backbone: about half a second per trial of some dozen clips. Module, callbacks and random
draws are those of `fit`, so the heads are the same, bit for bit.
"""

# k: crops, t: segments, f: features, v: verbs, n: nouns

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from tasks.errors import BadConfiguration
from tasks.learn.class_names import ClassNames
from tasks.learn.consensus import Logits
from tasks.learn.crops import NumCrops
from tasks.learn.data import CachedClip, View
from tasks.learn.engines.engine import clip_logits, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.epochs import LAST, EpochKeeper
from tasks.learn.feature_cache import FeatureCache, FeatureMemory
from tasks.learn.features import training_features
from tasks.learn.hardware import choose_device
from tasks.learn.history import EpochRecord
from tasks.learn.job import TrainJob
from tasks.learn.losses import CrossEntropies
from tasks.learn.network import Network
from tasks.learn.parts import compute, head_parts, views_of
from tasks.learn.snippets import read_tested
from tasks.learn.training import one_thread, require_possible, run_epochs
from tasks.store.records.record import TARGETS, VERB_ALONE, Target


@dataclass(frozen=True)
class ScoredClip:
    """A labelled clip that a trial is scored on, and the frames of the clips that cover it.

    Its logits are the mean over `parts`, weighted by the seconds that each has in common with it. A clip usually covers itself; a network
    of another clip length sees other clips of the same seconds.
    """

    verb: int
    noun: int
    parts: tuple[tuple[Path, float], ...]


def by_themselves(clips: Iterable[CachedClip]) -> tuple[ScoredClip, ...]:
    """Score each clip by its own frames."""
    return tuple(ScoredClip(clip.verb, clip.noun, ((clip.frames, 1.0),)) for clip in clips)


@dataclass(frozen=True)
class TrialJob:
    """One training of heads, and the clips and crops of its score.

    `train` is a job for `fit` in a single process, with a folder of features. The weights of its network are left as they are, so trials may
    share one. It reads nothing from its folder but a last.ckpt, if there is one to resume from, and writes nothing there but a new one at the
    end, if `keeps_last`. Trials that write need a folder each. Without `others`, the trial is scored on the validation clips of its training.
    """

    train: TrainJob
    num_crops: NumCrops
    keeps_last: bool = False
    others: tuple[ScoredClip, ...] = ()

    @property
    def scored(self) -> tuple[ScoredClip, ...]:
        """List the clips that the trial is scored on."""
        return self.others or by_themselves(self.train.val)


@dataclass(frozen=True)
class TrialOutcome:
    """Result of a trial. `loss` and `right` are of its best epoch.

    `loss` is the mean over the scored clips, in nats. `right` has, per trained target, one digit per scored clip: 1 if the answer is
    right. Clips in which nothing happens are not scored. `last` is the last checkpoint, if it was kept.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    loss: float
    right: dict[Target, str]
    last: Path | None


@dataclass(frozen=True)
class HeadTrial:
    """A trial of heads on cached features, small enough to send to another process.

    The network of `job` has no backbone. Training reads `trained`, the score reads `scored`, which is in float32.
    """

    job: TrialJob
    trained: FeatureCache
    scored: FeatureCache


Opened = tuple[Network, FeatureCache, FeatureCache]
"""A network without its backbone, and its caches for training and score."""


def score_network(
    network: Network, classes: ClassNames, clips: Sequence[ScoredClip], num_crops: NumCrops, device: Literal["auto", "cpu", "cuda"]
) -> tuple[float, dict[Target, str]]:
    """Score a trained network on clips, in float32.

    Returns:
        the mean loss in nats, and per trained target the digits of right answers, as in `TrialOutcome`.

    Raises:
        BadConfiguration: the loss is not finite.
    """
    engine = PytorchEngine(prepare(network, choose_device(device)), num_crops)
    return _score(lambda frames: engine.score(read_tested(frames, network.spec)), clips, classes)


def open_network(network: Network, root: Path, precision: str) -> Opened:
    """Copy a network without its backbone, and open its feature caches under `root`.

    It takes as long as hashing the backbone's weights, so it is worth caching.
    """
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
    compute(train, device, trained, views_of(train))
    exactly = replace(train, options=train.options.model_copy(update={"precision": "32-true"}))
    seen = dict.fromkeys(frames for clip in job.scored for frames, _ in clip.parts)
    compute(exactly, device, scored, [view for frames in seen for view in _test_views(frames, train.network.spec.num_crops(job.num_crops))])
    return HeadTrial(replace(job, train=replace(train, network=head_alone)), trained, scored)


def run_head_trial(trial: HeadTrial, memory: FeatureMemory) -> TrialOutcome:
    """Train and score heads in this process, with one thread.

    Raises:
        BadConfiguration: as `fit`, or the score's loss is not finite.
        Unavailable: as `fit`.
    """
    train, num_crops = trial.job.train, trial.job.train.network.spec.num_crops(trial.job.num_crops)
    with one_thread():
        network, keeper, best_epoch = train_heads(trial, memory)

        def answer(frames: Path) -> Logits:
            return clip_logits(network, torch.stack([memory.read(trial.scored, view.name) for view in _test_views(frames, num_crops)]))

        loss, right = _score(answer, trial.job.scored, train.classes)
    last = train.folder / LAST if trial.job.keeps_last else None
    return TrialOutcome(tuple(keeper.history), best_epoch, len(keeper.history) < train.options.epochs, loss, right, last)


def train_heads(trial: HeadTrial, memory: FeatureMemory) -> tuple[Network, EpochKeeper, int]:
    """Train heads on cached features.

    Returns:
        a network without a backbone and with the heads of the best epoch, in evaluation mode on the CPU; the keeper; the best epoch.

    Raises:
        BadConfiguration, Unavailable: as `fit`.
    """
    train = replace(trial.job.train, network=deepcopy(trial.job.train.network))
    device = choose_device(train.device)
    parts = head_parts(train, device, lambda view: memory.read(trial.trained, view.name))
    keeper, best_epoch, _ = run_epochs(train, device, parts, keeps="at the end" if trial.job.keeps_last else "never")
    network = train.network.cpu().eval()
    network.head.load_state_dict(keeper.best_head)
    return network, keeper, best_epoch


def _test_views(frames: Path, num_crops: NumCrops) -> list[View]:
    return [View(frames, number=number, num_crops=num_crops) for number in range(num_crops)]


def _score(answer: Callable[[Path], Logits], clips: Sequence[ScoredClip], classes: ClassNames) -> tuple[float, dict[Target, str]]:
    """Compute the mean loss, and the digits of right answers by target.

    `answer` returns the logits, (v,) and (n,), of the frames of one clip. Clips in which nothing happens are left out.
    """
    clips = [clip for clip in clips if clip.verb != classes.nothing]
    kept = cache(answer)
    verb_rows, noun_rows = zip(*(_mean([(kept(frames), weight) for frames, weight in clip.parts]) for clip in clips), strict=True)
    logits = Logits(torch.stack(verb_rows), torch.stack(noun_rows))
    verbs, nouns = torch.tensor([clip.verb for clip in clips]), torch.tensor([clip.noun for clip in clips])
    has_objects = classes.has_objects
    loss = float(CrossEntropies(has_objects=has_objects)(logits, verbs, nouns).total.mean())
    if not math.isfinite(loss):
        raise BadConfiguration("the test logits are not finite; lower the learning rate")
    verb_right, noun_right = logits.verb.argmax(1) == verbs, logits.noun.argmax(1) == nouns
    rights = dict(zip(TARGETS, (verb_right, noun_right, verb_right & noun_right), strict=True))
    return loss, {target: "".join(str(int(one)) for one in rights[target]) for target in (TARGETS if has_objects else VERB_ALONE)}


def _mean(answers: Sequence[tuple[Logits, float]]) -> Logits:
    """Average logits, (v,) and (n,), by weight; those of a single clip stay as they are."""
    if len(answers) == 1:
        return answers[0][0]
    total = sum(weight for _, weight in answers)
    verb = torch.stack([logits.verb * (weight / total) for logits, weight in answers]).sum(0)
    noun = torch.stack([logits.noun * (weight / total) for logits, weight in answers]).sum(0)
    return Logits(verb, noun)
