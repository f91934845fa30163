"""Train the heads of trials of a search on cached features, side by side, and score their last epochs.

There are no files after each epoch and there is no backbone: about half a second per trial of some dozen clips. Module, callbacks and random
draws are those of `fit`, so the heads are the same, bit for bit.
"""

# k: crops, t: segments, f: features, v: verbs, n: nouns

import logging
import math
import os
import pickle  # noqa: TID251 - between the processes of one step, as multiprocessing does itself
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import TypeVar

import torch
from torch import nn

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.learn.engines.engine import clip_logits, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.hardware import WantedDevice, choose_device
from tasks.learn.inputs.clip_files import read_tested
from tasks.learn.inputs.crops import NumCrops
from tasks.learn.inputs.data import CachedClip, View
from tasks.learn.inputs.features import FeatureCache, FeatureMemory, training_features
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames
from tasks.learn.training.epochs import EpochKeeper
from tasks.learn.training.fit import one_thread, require_possible, run_epochs
from tasks.learn.training.job import TrainJob, compute_missing, set_up_heads, views_of
from tasks.learn.training.processes import end_with
from tasks.learn.training.progress import EpochRecord
from tasks.learn.training.recipe import CrossEntropies
from tasks.store.records.record import TARGETS, VERB_ALONE, Target

log = logging.getLogger(__name__)

Opened = tuple[Network, FeatureCache, FeatureCache]
"""A network without its backbone, and its caches for training and score."""

START_SECONDS = 10.0
"""Minimum training time that justifies starting other processes. Each of them spends 4 s of processor time on its imports."""

MAX_PROCESSES = 8
"""Each takes 0.7 GB, most of it for libraries, and up to `MEMORY_BYTES` more for features."""

MEMORY_BYTES = 512 * 1024**2
T = TypeVar("T")


@dataclass(frozen=True)
class TrialJob:
    """One training of heads, and the clips and crops of its score.

    `train` is a job for `fit` in a single process, with a folder of features. The weights of its network are left as they are, so trials may
    share one. It reads and writes nothing in its folder. Without `others`, the trial is scored on the validation clips of its training.
    """

    train: TrainJob
    num_crops: NumCrops
    others: Sequence[CachedClip] = ()

    @property
    def scored(self) -> Sequence[CachedClip]:
        """List the clips that the trial is scored on."""
        return self.others or self.train.val


@dataclass(frozen=True)
class TrialOutcome:
    """Result of a trial; `loss`, the mean over the scored clips in nats, and `right` are of its last epoch.

    The best epoch would be chosen on the clips that score it. `right` has, per trained target, one digit per scored clip: 1 if the answer is
    right. Clips in which nothing happens are not scored.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    loss: float
    right: dict[Target, str]


@dataclass(frozen=True)
class HeadTrial:
    """A trial of heads on cached features, small enough to send to another process: its network has no backbone.

    Training reads `trained`, the score reads `scored`, which is in float32.
    """

    job: TrialJob
    trained: FeatureCache
    scored: FeatureCache


def score_network(
    network: Network, classes: ClassNames, clips: Sequence[CachedClip], num_crops: NumCrops, device: WantedDevice
) -> tuple[float, dict[Target, str]]:
    """Score a trained network on clips, in float32: the mean loss in nats, and the digits as in `TrialOutcome`.

    Raises:
        BadConfiguration: the loss is not finite.
    """
    engine = PytorchEngine(prepare(network, choose_device(device)), num_crops)
    return _score(lambda frames: engine.score(read_tested(frames, network.spec)), clips, classes)


def open_network(network: Network, root: Path, precision: str) -> Opened:
    """Copy a network without its backbone, and open its feature caches under `root`; slow, as it hashes weights."""
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
    compute_missing(exactly, device, scored, [view for clip in job.scored for view in _test_views(clip.frames, num_crops)])
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
    return TrialOutcome(tuple(keeper.history), best_epoch, keeper.stopped_early, loss, right)


def train_heads(trial: HeadTrial, memory: FeatureMemory) -> tuple[Network, EpochKeeper, int]:
    """Train heads on cached features; return the network with the last heads, the keeper, and the best epoch.

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

    `answer` returns the logits, (v,) and (n,), of the frames of one clip. Clips in which nothing happens are left out.
    """
    clips = [clip for clip in clips if clip.verb != classes.nothing]
    verb_rows, noun_rows = zip(*(answer(clip.frames) for clip in clips), strict=True)
    logits = Logits(torch.stack(verb_rows), torch.stack(noun_rows))
    verbs, nouns = torch.tensor([clip.verb for clip in clips]), torch.tensor([clip.noun for clip in clips])
    has_objects = classes.has_objects
    loss = float(CrossEntropies(has_objects=has_objects)(logits, verbs, nouns).total.mean())
    if not math.isfinite(loss):
        raise BadConfiguration("the test logits are not finite; lower the learning rate")
    verb_right, noun_right = logits.verb.argmax(1) == verbs, logits.noun.argmax(1) == nouns
    rights = dict(zip(TARGETS, (verb_right, noun_right, verb_right & noun_right), strict=True))
    return loss, {target: "".join(str(int(is_right)) for is_right in rights[target]) for target in (TARGETS if has_objects else VERB_ALONE)}


@dataclass(frozen=True)
class TrialFailure:
    """Reason why a trial has no result, for people."""

    reason: str


Prepare = Callable[[TrialJob], HeadTrial]


OnDone = Callable[[int, TrialOutcome | TrialFailure], None]


def run_trials(jobs: Sequence[TrialJob], *, num_processes: int, on_done: OnDone) -> None:
    """Train and score each job: in this process, until the rest justifies starting others.

    Results do not depend on `num_processes`. Jobs may share a network object; its feature caches are then opened once.

    Args:
        jobs: the trials.
        num_processes: maximum number of processes that train heads; 0: as many as cores.
        on_done: called in this thread with a job's index as soon as it is done; an exception from it stops all.

    Raises:
        Unavailable: a process was killed, or features or frames are damaged or do not fit on the disk.
    """
    num_processes = num_processes or len(os.sched_getaffinity(0))
    prepare: Prepare = partial(prepare_head_trial, opened=cache(open_network))
    memory = FeatureMemory(MEMORY_BYTES)
    left = dict(enumerate(jobs))
    for index, job in enumerate(jobs):
        del left[index]
        trial = _attempt(partial(prepare, job))
        started = monotonic()
        outcome = trial if isinstance(trial, TrialFailure) else _attempt(partial(run_head_trial, trial, memory))
        seconds = monotonic() - started
        on_done(index, outcome)
        if num_processes > 1 and seconds * len(left) > START_SECONDS:
            break
    if left:
        _run_side_by_side(left, prepare, min(num_processes, len(left), MAX_PROCESSES), on_done)


def _run_side_by_side(jobs: Mapping[int, TrialJob], prepare: Prepare, num_processes: int, on_done: OnDone) -> None:
    """Run trials of heads in other processes, while this one computes the features of the next trial."""
    running: dict[Future[TrialOutcome | TrialFailure], int] = {}

    def report(timeout_seconds: float | None) -> None:
        for future in wait(running, timeout_seconds, FIRST_COMPLETED).done:
            on_done(running.pop(future), future.result())

    log.info("%d trials in %d processes", len(jobs), num_processes)
    with ProcessPoolExecutor(num_processes, get_context("spawn"), initializer=end_with, initargs=(os.getpid(),)) as pool:
        try:
            for index, job in jobs.items():
                trial = _attempt(partial(prepare, job))
                if isinstance(trial, TrialFailure):
                    on_done(index, trial)
                else:
                    # As bytes: multiprocessing would share the memory of tensors over a socket in a temporary folder that ends before it does.
                    running[pool.submit(_run_here, pickle.dumps(trial))] = index
                report(0)
            while running:
                report(None)
        except BrokenProcessPool as error:
            raise Unavailable(
                "a process that trained heads was killed, probably for lack of memory; lower RETAKE_NUM_PROCESSES and retry"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _run_here(pickled: bytes) -> TrialOutcome | TrialFailure:
    trial: HeadTrial = pickle.loads(pickled)  # noqa: S301 - this process's parent made it
    return _attempt(partial(run_head_trial, trial, _memory()))


@cache
def _memory() -> FeatureMemory:
    """Return this process's memory, which its trials share."""
    return FeatureMemory(MEMORY_BYTES)


def _attempt(run: Callable[[], T]) -> T | TrialFailure:
    """Run a trial, and convert a permanent failure to a result."""
    try:
        return run()
    except (BadConfiguration, BadInput) as error:
        return TrialFailure(str(error))
