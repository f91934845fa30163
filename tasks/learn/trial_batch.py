"""Train the heads of a batch of trials side by side, in processes of one thread each."""

import logging
import os
import pickle  # noqa: TID251 - between the processes of one step, as multiprocessing does itself
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from time import monotonic
from typing import TypeVar

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.learn.feature_cache import FeatureMemory
from tasks.learn.processes import end_with
from tasks.learn.trials import HeadTrial, TrialJob, TrialOutcome, open_network, prepare_head_trial, run_head_trial

log = logging.getLogger(__name__)

START_SECONDS = 10.0
"""Minimum training time that justifies starting other processes. Each of them spends 4 s of processor time on its imports."""

MAX_PROCESSES = 8
"""Maximum number of processes. Each takes 0.7 GB, most of it for libraries, and up to `MEMORY_BYTES` more for features."""

MEMORY_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class TrialFailure:
    """Reason why a trial has no result, for people."""

    reason: str


T = TypeVar("T")
Prepare = Callable[[TrialJob], HeadTrial]
OnDone = Callable[[int, TrialOutcome | TrialFailure], None]


def run_trials(
    jobs: Sequence[TrialJob],
    *,
    num_processes: int,
    on_done: OnDone,
) -> None:
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
    """Run trials of heads in other processes.

    Meanwhile, this process computes the features of the next trial.
    """
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
