"""Trainings in two real processes, which Lightning starts as it does under `python -m tasks`."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.inputs.data import CachedClip
from tasks.learn.training.epochs import EpochFiles
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.learn.training.processes import require_rank, shareable_devices
from tests.learn.tiny import EXACT, HEADS, REPOSITORY, figures, job
from tests.learn.training.train_together import CASES, SAME


def start(case: str, folder: Path, clips: list[CachedClip]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.learn.training.train_together", case, str(folder), *(str(clip.frames) for clip in clips)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if case == "fail" else None,
        text=True,
    )


def alone(folder: Path, clips: list[CachedClip], epochs: int, **choice) -> TrainJob:
    return replace(job(folder, clips, **EXACT, epochs=epochs, **choice), train=clips[:3], val=clips[3:])


def figures_of(history: list[dict]) -> list[float]:
    return [value for record in history for scores in (record["train"], record["val"]) for value in scores.values()]


@pytest.mark.slow
def test_two_processes_train_as_one_does_go_on_for_one_another_and_die_together(clips, tmp_path: Path):
    def keep_the_first_epoch(files: EpochFiles) -> None:
        if files.records[-1].epoch == 0:
            for rank in "01":
                shutil.copytree(files.last.parent, tmp_path / rank / "resumed")

    undisturbed = figures(fit(alone(tmp_path / "alone", clips, epochs=3), on_epoch=keep_the_first_epoch))
    with start("train", tmp_path, clips) as process:
        assert process.stdout.readline() == "going\n"
        others = psutil.Process(process.pid).children()
        process.kill()
    assert len(others) == 1
    assert not psutil.wait_procs(others, timeout=60)[1]

    def told(rank: int, name: str) -> tuple[bool, list[dict]]:
        stopped_early, *history = json.loads((tmp_path / str(rank) / f"{name}.json").read_text())
        return stopped_early, history

    for name in ("fresh", "resumed", "then alone"):
        assert figures_of(told(0, name)[1]) == pytest.approx(undisturbed[: 2 * len(undisturbed) // 3], rel=1e-5)
    assert told(0, "early")[0]
    for name, choice in (("rich", {"trainable": "last-stage"}), ("rich-kept", HEADS)):
        by_itself = figures(fit(alone(tmp_path / f"one-{name}", clips, epochs=2, **SAME | choice)))
        assert figures_of(told(0, name)[1]) == pytest.approx(by_itself, rel=1e-5)
    for name in CASES:
        assert told(1, name) == told(0, name)
    assert not list((tmp_path / "1" / "fresh").iterdir())
    assert figures(fit(alone(tmp_path / "0" / "fresh", clips, epochs=3))) == pytest.approx(undisturbed, rel=1e-5)


@pytest.mark.slow
def test_what_ends_one_process_ends_the_other_with_its_exit_code(clips, tmp_path: Path):
    with start("fail", tmp_path, clips) as process:
        _, said = process.communicate()
    assert process.returncode == 65
    assert "gone.npy: the clip's frames are missing" in said
    assert said.splitlines()[-1].startswith("another process of this training exited with 65")


def test_what_several_processes_cannot_share_is_refused(clips, tmp_path: Path, monkeypatch):
    with pytest.raises(BadConfiguration, match="batch_size 2 cannot be shared by 4 processes; set it to a multiple of 4"):
        fit(replace(job(tmp_path, clips), devices=4))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadConfiguration, match="RETAKE_DEVICES is 2 and torch sees 1 GPU"):
        fit(replace(job(tmp_path, clips), device="cuda", devices=2))


def test_as_many_processes_train_as_share_a_batch_evenly_and_one_without_a_place_is_refused(monkeypatch):
    assert [shareable_devices(*of) for of in ((2, 1), (2, 4), (4, 6), (1, 5))] == [1, 2, 3, 1]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(BadConfiguration, match="process 3 of 2"):
        require_rank(devices=2)
