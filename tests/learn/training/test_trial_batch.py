"""Batches of trials: what one fails of, the others do not notice; in one process or several the results are the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from tasks.errors import Unavailable
from tasks.learn.inputs.data import CachedClip
from tasks.learn.inputs.features import FeatureCache, FeatureMemory
from tasks.learn.training import trials
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tests.learn.tiny import REPOSITORY, Stop, scores
from tests.learn.training.test_trials import heads, run_trial, with_train


def changed(planned: TrialJob, **choice) -> TrialJob:
    return with_train(planned, options=planned.train.options.model_copy(update=choice))


def batch(folder: Path, clips: list[CachedClip], **choice) -> list[TrialJob]:
    """Three trials of heads on one network."""
    first = heads(folder, clips, **choice)
    return [changed(first, learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]


def impossible(planned: TrialJob) -> TrialJob:
    return changed(planned, precision="16-mixed")


def diverging(planned: TrialJob) -> TrialJob:
    return changed(planned, learning_rate=1e60)


def figures(outcome: TrialOutcome | TrialFailure) -> tuple:
    assert isinstance(outcome, TrialOutcome)
    return scores(outcome), outcome.best_epoch, outcome.loss, outcome.right


def trainers(pid: int | None = None) -> list[psutil.Process]:
    """Processes that a batch started, without the one with which Python tidies up."""
    living = [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]


def run(jobs: list[TrialJob], num_processes: int = 1, **choice) -> list[tuple[int, TrialOutcome | TrialFailure]]:
    done = []
    run_trials(jobs, num_processes=num_processes, on_done=lambda index, outcome: done.append((index, outcome)), **choice)
    return done


def test_trials_on_one_network_share_its_features(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)
    read, opened = [], []
    monkeypatch.setattr(FeatureCache, "read", lambda self, name, inner=FeatureCache.read: read.append(name) or inner(self, name))
    monkeypatch.setattr(trials, "open_network", lambda *of, inner=trials.open_network: opened.append(of) or inner(*of))
    run(jobs)
    assert len(opened) == 1
    assert len(read) == len(set(read)) == 4 * 2 + 2
    read.clear()
    monkeypatch.setattr(trials, "MEMORY_BYTES", 0)
    run(jobs)
    assert len(read) > 3 * (4 * 2 + 2)


def test_what_a_retry_mends_and_sigterm_end_the_batch(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs, done = batch(tmp_path, clips), []

    def full(self: FeatureCache, name: str, features: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(Unavailable, match="full"):
        patch.setattr(FeatureCache, "write", full)
        run(jobs)
    read = FeatureMemory.read

    def terminated(self: FeatureMemory, cache: FeatureCache, name: str) -> torch.Tensor:
        if done:
            signal.raise_signal(signal.SIGTERM)
        return read(self, cache, name)

    monkeypatch.setattr(FeatureMemory, "read", terminated)
    with pytest.raises(Unavailable, match="SIGTERM"):
        run_trials(jobs, num_processes=1, on_done=lambda index, outcome: done.append(index))
    assert done == [0]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes for whatever is left after the first trial."""
    monkeypatch.setattr(trials, "START_SECONDS", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_one_process_and_several_give_what_each_trial_gives_alone_and_failures_are_their_own(clips, tmp_path: Path):
    planned = [*batch(tmp_path, clips), *batch(tmp_path, clips, seed=1, dropout=0.5)]
    jobs = [planned[0], impossible(planned[1]), diverging(planned[1]), *planned[2:]]
    in_order, in_two = run(jobs), run(jobs, num_processes=2)
    assert [index for index, _ in in_order] == sorted(index for index, _ in in_two) == list(range(7))
    for outcomes in map(dict, (in_order, in_two)):
        assert "16-mixed" in outcomes.pop(1).reason and "finite" in outcomes.pop(2).reason
        for index in (0, 3, 6):
            assert figures(outcomes[index]) == figures(run_trial(jobs[index]))
    assert not trainers()


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_an_error_of_the_caller_and_a_killed_process_end_all(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trials, "MAX_PROCESSES", 1)
    jobs = batch(tmp_path, clips)

    def stop(index: int, outcome: TrialOutcome | TrialFailure) -> None:
        if trainers():
            raise Stop

    with pytest.raises(Stop):
        run_trials([*jobs[:2], impossible(jobs[2]), *jobs], num_processes=2, on_done=stop)
    assert not trainers()

    def kill(index: int, outcome: TrialOutcome | TrialFailure) -> None:
        for child in trainers():
            child.kill()

    with pytest.raises(Unavailable, match="RETAKE_NUM_PROCESSES"):
        run_trials(jobs, num_processes=2, on_done=kill)
    assert not trainers()


IN_A_FOLDER = """
import sys
from pathlib import Path
from tasks.disk import own_temporary_folder
from tasks.learn.training import trials
from tasks.learn.inputs.data import CachedClip
from tests.learn.training.test_trial_batch import batch, run_trials, with_train

class Telling(list):
    is_silent = True
    def __getitem__(self, key):
        if self.is_silent:
            Telling.is_silent = print("training", flush=True)
        return super().__getitem__(key)

if __name__ == "__main__":
    trials.START_SECONDS = 0
    clips = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[2:])]
    jobs = batch(Path(sys.argv[1]), clips, epochs=1)[:2]
    with own_temporary_folder():
        run_trials(jobs, num_processes=2, on_done=lambda index, outcome: None)
    print("done", flush=True)
    endless = with_train(batch(Path(sys.argv[1]), clips, epochs=1000)[0], train=Telling(clips * 10))
    run_trials([jobs[0], endless], num_processes=2, on_done=lambda index, outcome: None)
"""


@pytest.mark.slow
def test_nothing_of_a_batch_outlives_its_temporary_folder_or_a_kill(clips, tmp_path: Path):
    script = tmp_path / "batch.py"
    script.write_text(IN_A_FOLDER)
    command = [sys.executable, str(script), str(tmp_path), *(str(clip.frames) for clip in clips)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (
        (tmp_path / "stderr").open("w") as said,
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdout.readline() == "done\n"
        assert "Traceback" not in (tmp_path / "stderr").read_text()
        assert process.stdout.readline() == "training\n"
        children = trainers(process.pid)
        assert len(children) == 1
        process.send_signal(signal.SIGTERM)
    assert not psutil.wait_procs(children, timeout=20)[1]
