import subprocess
import sys

import pytest

from tasks.learn.gpus import num_gpus

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
