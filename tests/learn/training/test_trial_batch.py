"""Batches of trials: what one fails of, the others do not notice."""

import signal
from pathlib import Path

import pytest
import torch

from tasks.errors import Unavailable
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.features import FeatureCache, FeatureMemory
from tasks.learn.training import trials
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tests.learn.tiny import scores
from tests.learn.training.test_trials import heads, run_trial, with_train


def changed(planned: TrialJob, **choice) -> TrialJob:
    return with_train(planned, options=planned.train.options.model_copy(update=choice))


def batch(folder: Path, clips: list[CachedClip], **choice) -> list[TrialJob]:
    """Three trials of heads on one network."""
    first = heads(folder, clips, **choice)
    return [changed(first, learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]


def figures(outcome: TrialOutcome | TrialFailure) -> tuple:
    assert isinstance(outcome, TrialOutcome)
    return scores(outcome), outcome.best_epoch, outcome.loss, outcome.right


def test_trials_on_one_network_share_its_features(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)
    read, opened = [], []
    monkeypatch.setattr(FeatureCache, "read", lambda self, name, inner=FeatureCache.read: read.append(name) or inner(self, name))
    monkeypatch.setattr(trials, "open_network", lambda *of, inner=trials.open_network: opened.append(of) or inner(*of))
    list(run_trials(jobs))
    assert len(opened) == 1
    assert len(read) == len(set(read)) == 4 * 2 + 2
    read.clear()
    monkeypatch.setattr(trials, "MEMORY_BYTES", 0)
    list(run_trials(jobs))
    assert len(read) > 3 * (4 * 2 + 2)


def test_what_a_retry_mends_and_sigterm_end_the_batch(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)

    def full(self: FeatureCache, name: str, features: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match="full"):
        patch.setattr(FeatureCache, "write", full)
        list(run_trials(jobs))
    read, outcomes = FeatureMemory.read, run_trials(jobs)

    def terminated(self: FeatureMemory, cache: FeatureCache, name: str) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return read(self, cache, name)

    assert isinstance(next(outcomes), TrialOutcome)
    monkeypatch.setattr(FeatureMemory, "read", terminated)
    with pytest.raises(Unavailable, match="SIGTERM"):
        next(outcomes)


@pytest.mark.slow
def test_each_trial_gives_what_it_gives_alone_and_failures_are_their_own(clips, tmp_path: Path):
    planned = [*batch(tmp_path, clips), *batch(tmp_path, clips, seed=1, dropout=0.5)]
    impossible, diverging = changed(planned[1], precision="16-mixed"), changed(planned[1], learning_rate=1e60)
    jobs = [planned[0], impossible, diverging, *planned[2:]]
    outcomes = list(run_trials(jobs))
    assert len(outcomes) == 7
    assert "16-mixed" in outcomes[1].reason and "finite" in outcomes[2].reason
    for index in (0, 3, 6):
        assert figures(outcomes[index]) == figures(run_trial(jobs[index]))
