"""Batches of trials: what one fails of, the others do not notice; in one process or several the results are the same."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from tasks.errors import Unavailable
from tasks.model import trial_batch
from tasks.model.data import CachedClip
from tasks.model.feature_cache import FeatureCache, FeatureMemory
from tasks.model.trial_batch import TrialFailure, run_trials
from tasks.model.trials import TrialJob, TrialOutcome
from tests.model.test_training import REPOSITORY, Stop
from tests.model.test_trials import curve, heads, run_trial

RATES = (1e-3, 1e-2, 1e-1)


def batch(folder: Path, clips: list[CachedClip], **choice) -> list[TrialJob]:
    """Three trials of heads on one network."""
    first = heads(folder, clips, **choice)
    return [
        replace(first, train=replace(first.train, options=first.train.options.model_copy(update={"learning_rate": rate}))) for rate in RATES
    ]


def impossible(planned: TrialJob) -> TrialJob:
    return replace(planned, train=replace(planned.train, options=planned.train.options.model_copy(update={"precision": "16-mixed"})))


def diverging(planned: TrialJob) -> TrialJob:
    return replace(planned, train=replace(planned.train, options=planned.train.options.model_copy(update={"learning_rate": 1e60})))


def figures(outcome: TrialOutcome | TrialFailure) -> tuple:
    assert isinstance(outcome, TrialOutcome)
    return curve(outcome.history), outcome.best_epoch, outcome.loss, outcome.right


def trainers(pid: int | None = None) -> list[psutil.Process]:
    """Processes that a batch started, without the one with which Python tidies up."""
    living = [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]


def run(jobs: list[TrialJob], num_processes: int = 1, **choice) -> list[tuple[int, TrialOutcome | TrialFailure]]:
    done = []
    run_trials(jobs, num_processes=num_processes, on_done=lambda index, outcome: done.append((index, outcome)), **choice)
    return done


@pytest.mark.slow
def test_each_trial_is_told_when_done_and_failures_are_their_own(clips, tmp_path: Path):
    planned = batch(tmp_path, clips)
    jobs = [planned[0], impossible(planned[1]), diverging(planned[1]), planned[2]]
    done = run(jobs)
    assert [index for index, _ in done] == [0, 1, 2, 3]
    outcomes = dict(done)
    assert {index for index, outcome in done if isinstance(outcome, TrialFailure)} == {1, 2}
    assert "16-mixed" in outcomes[1].reason and "finite" in outcomes[2].reason
    for index in (0, 3):
        again = replace(jobs[index], train=replace(jobs[index].train, folder=tmp_path / f"again{index}"))
        assert figures(outcomes[index]) == figures(run_trial(again))


def test_trials_on_one_network_share_its_features(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)
    read, opened = [], []
    monkeypatch.setattr(FeatureCache, "read", lambda self, name, inner=FeatureCache.read: read.append(name) or inner(self, name))
    monkeypatch.setattr(trial_batch, "open_network", lambda *of, inner=trial_batch.open_network: opened.append(of) or inner(*of))
    run(jobs)
    assert len(opened) == 1
    assert len(read) == len(set(read)) == 4 * 2 + 2
    read.clear()
    monkeypatch.setattr(trial_batch, "MEMORY_BYTES", 0)
    run(jobs)
    assert len(read) > 3 * (4 * 2 + 2)


def test_what_a_retry_mends_ends_the_batch(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs = batch(tmp_path, clips)

    def full(self: FeatureCache, name: str, features: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(FeatureCache, "write", full)
    with pytest.raises(Unavailable, match="full"):
        run(jobs)


def test_sigterm_ends_the_batch_as_what_a_retry_mends(clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jobs, done = batch(tmp_path, clips), []
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
    monkeypatch.setattr(trial_batch, "START_SECONDS", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_processes_give_what_one_gives(clips, tmp_path: Path):
    jobs = [*batch(tmp_path, clips), *batch(tmp_path, clips, seed=1, dropout=0.5)]
    alone = {index: figures(run_trial(job)) for index, job in enumerate(jobs)}
    done = run([*jobs, diverging(jobs[0]), impossible(jobs[0])], num_processes=2)
    outcomes = dict(done)
    assert sorted(outcomes) == list(range(8))
    assert isinstance(outcomes.pop(6), TrialFailure) and isinstance(outcomes.pop(7), TrialFailure)
    assert {index: figures(outcome) for index, outcome in outcomes.items()} == alone
    assert not trainers()


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_an_error_of_the_caller_and_a_killed_process_end_all(clips, tmp_path: Path):
    jobs = [*batch(tmp_path, clips), *batch(tmp_path, clips, seed=1)]

    def stop(index: int, outcome: TrialOutcome | TrialFailure) -> None:
        if trainers():
            raise Stop

    with pytest.raises(Stop):
        run_trials(jobs, num_processes=2, on_done=stop)

    def kill(index: int, outcome: TrialOutcome | TrialFailure) -> None:
        for child in trainers():
            child.kill()

    with pytest.raises(Unavailable, match="RETAKE_NUM_PROCESSES"):
        run_trials(jobs, num_processes=2, on_done=kill)
    assert not trainers()


BATCH = """
import sys
from dataclasses import replace
from pathlib import Path
from tasks.model import trial_batch
from tasks.model.data import CachedClip
from tests.model.test_trial_batch import batch, run_trials

class Telling(list):
    is_silent = True
    def __getitem__(self, key):
        if self.is_silent:
            Telling.is_silent = print("training", flush=True)
        return super().__getitem__(key)

if __name__ == "__main__":
    trial_batch.START_SECONDS = 0
    clips = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[2:])]
    short, *_ = batch(Path(sys.argv[1]), clips, epochs=1)
    long = [replace(job, train=replace(job.train, train=Telling(clips * 10))) for job in batch(Path(sys.argv[1]), clips, epochs=1000)]
    run_trials([short, *long], num_processes=2, on_done=lambda index, outcome: None)
"""


@pytest.mark.slow
def test_the_processes_of_a_killed_batch_end_with_it(clips, tmp_path: Path):
    script = tmp_path / "batch.py"
    script.write_text(BATCH)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), *(str(clip.frames) for clip in clips)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["training\n"] * 2
        children = trainers(process.pid)
        assert len(children) == 2
        process.send_signal(signal.SIGTERM)
    assert not psutil.wait_procs(children, timeout=20)[1]


IN_A_FOLDER = """
import sys
from pathlib import Path
from tasks.disk import own_temporary_folder
from tasks.model import trial_batch
from tasks.model.data import CachedClip
from tests.model.test_trial_batch import batch, run_trials

if __name__ == "__main__":
    trial_batch.START_SECONDS = 0
    clips = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[2:])]
    with own_temporary_folder():
        run_trials(batch(Path(sys.argv[1]), clips), num_processes=2, on_done=lambda index, outcome: None)
"""


@pytest.mark.slow
def test_nothing_of_a_batch_outlives_the_temporary_folder(clips, tmp_path: Path):
    script = tmp_path / "batch.py"
    script.write_text(IN_A_FOLDER)
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *(str(clip.frames) for clip in clips)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in ended.stderr
