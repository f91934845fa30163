import logging
import os
import platform
import subprocess
import sys
import threading

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn import gpus
from tasks.learn.gpus import num_gpus, trains_on_gpu
from tasks.learn.hardware import choose_device, silenced

COUNT = """
import resource, torch
from tasks.judge.statistics.scoring import peak_memory_bytes
from tasks.learn.hardware import keep_freed_memory, return_freed_memory

def count():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.zeros(4_000_000).add(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = count()
keep_freed_memory()
kept = count()
torch.ones(2**27)
peak = peak_memory_bytes()
return_freed_memory()
print(plain, kept, peak, peak_memory_bytes())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory is left as it is")
def test_pages_are_cleared_once_and_not_for_every_activation_and_returned_between_networks():
    plain, kept, peak, next_peak = map(int, subprocess.check_output([sys.executable, "-c", COUNT]).split())
    num_pages_written = 20 * 2 * 16_000_000 // 4096
    assert plain - kept > num_pages_written / 2
    assert peak - next_peak > 2**28


WAITING = "import os, sys, tasks.learn; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"


@pytest.mark.parametrize(("chosen", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")], ids=["nothing", "active"])
def test_waiting_threads_of_torch_leave_the_cores_to_others_unless_a_person_chose_otherwise(chosen, policy):
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    answer = subprocess.check_output([sys.executable, "-c", WAITING], env=inherited | chosen, text=True)
    assert answer.split() == [policy, "False"], "torch reads it when it is loaded"


@pytest.mark.parametrize("name", ["onnx_ir.passes.common.initializer_deduplication", "onnxscript.optimizer._constant_folding"])
def test_writing_a_graph_logs_no_line_for_each_weight_or_node(caplog, name):
    with silenced(), caplog.at_level(logging.INFO):
        logging.getLogger(name).info("Skipping node")
    assert not caplog.records


def test_what_two_threads_silence_is_heard_again():
    heard, begins, is_over = sys.stdout, threading.Event(), threading.Event()

    def silence():
        begins.set()
        with silenced():
            is_over.wait(60)

    other = threading.Thread(target=silence, daemon=True)
    with silenced():
        other.start()
        assert begins.wait(60)
        # Without a lock it comes in now, and keeps what this thread has put in place of stdout.
        other.join(0.2)
    is_over.set()
    other.join(60)
    assert sys.stdout is heard


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadConfiguration, match="finds no GPU"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("built_for", "capability", "runs"),
    [
        ("sm_75 sm_80 sm_90 sm_120", (8, 9), True),
        ("sm_75 sm_80 sm_90 sm_120", (6, 1), False),
        ("sm_75 sm_80 sm_90 sm_120", (7, 0), False),
        ("sm_90a", (10, 0), False),
        ("sm_90 compute_90", (10, 0), True),
        ("gfx942", (9, 4), True),
    ],
)
def test_a_gpu_that_torch_has_no_code_for_is_refused_by_name(monkeypatch, built_for, capability, runs):
    for name, answer in {
        "is_available": True,
        "get_arch_list": built_for.split(),
        "get_device_capability": capability,
        "get_device_name": "GTX 1080",
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    assert choose_device("cpu") == "cpu"
    if runs:
        assert choose_device("auto") == "cuda"
        return
    with pytest.raises(BadConfiguration, match=r"has no code for GTX 1080, .* hide this GPU by CUDA_VISIBLE_DEVICES$"):
        choose_device("auto")


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
