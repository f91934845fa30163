import subprocess
import sys

import pytest
import torch

from tasks.learn import gpus
from tasks.learn.gpus import num_gpus, trains_on_gpu

CLAIM = """
import os, sys
from pathlib import Path
from tasks.learn.gpus import keep_to_one_gpu
keep_to_one_gpu(Path(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def claim(tmp_path, monkeypatch):
    """Starts a process that keeps to one GPU of so many; it lives until its stdin is closed."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    started = []

    def start(number):
        for gpu in range(number):
            (tmp_path / "gpus" / f"0000:0{gpu}:00.0").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", CLAIM, tmp_path / "gpus"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        with process:
            process.stdin.close()


@pytest.mark.slow
def test_steps_side_by_side_take_different_gpus_and_give_them_back(claim, tmp_path):
    (first, a), (_, b), (_, none_left) = claim(2), claim(2), claim(2)
    assert (a, b, none_left) == ("0", "1", "None")
    assert {file.name for file in tmp_path.glob("cache/gpus/*")} == {"0000:00:00.0.lock", "0000:01:00.0.lock"}
    first.kill()
    first.wait()
    assert claim(2)[1] == "0"


def test_one_gpu_none_and_somebodys_own_choice_are_left_alone(claim, monkeypatch, tmp_path):
    assert num_gpus(tmp_path / "absent") == 0
    assert claim(1)[1] == "None"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert claim(2)[1] == "7"


@pytest.mark.parametrize(
    ("visible", "number"), [("", 0), ("-1", 0), ("1", 1), ("0,1,-1,0", 2), ("GPU-8932f937,GPU-5c1fe2a2,GPU-7ffe0a3f", 2)]
)
def test_gpus_that_cuda_hides_do_not_count(tmp_path, monkeypatch, visible, number):
    for gpu in range(2):
        (tmp_path / f"0000:0{gpu}:00.0").mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert num_gpus(tmp_path) == number


@pytest.mark.parametrize(
    ("number", "is_usable", "trains_on", "expected"),
    [(0, True, "", False), (1, True, "", True), (1, False, "", False), (0, False, "cuda", True), (1, True, "cpu", False)],
)
def test_a_training_counts_on_a_gpu_that_torch_can_use_unless_another_machine_trains(monkeypatch, number, is_usable, trains_on, expected):
    monkeypatch.setattr(gpus, "num_gpus", lambda: number)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(is_usable))
    if trains_on:
        monkeypatch.setenv("RETAKE_TRAINS_ON", trains_on)
    assert trains_on_gpu() == expected
