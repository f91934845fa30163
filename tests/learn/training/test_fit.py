import logging
import math
import os
import re
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tasks.errors import BadConfiguration, Unavailable
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import set_up_images
from tests.learn.tiny import OPTIONS, RICH, Stop, assert_resumes, assert_same_files, job, kept_job, scores, stop_after

IN_PICTURES = {"crop": "multi-scale", "train_frames": "middle", "mirror": False}
IN_BACKBONES = {"trainable": "last-stage", "batch_norm": "train", "dropout": 0.5, "precision": "bf16-mixed"}


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory: pytest.TempPathFactory) -> TrainOutcome:
    return fit(job(tmp_path_factory.mktemp("trained"), clips))


def test_training_learns_and_leaves_the_best(trained):
    assert trained.history[-1].train.loss < trained.history[0].train.loss
    assert trained.best_val_loss == min(record.val.loss for record in trained.history)
    saved = load(trained.best)
    assert saved.classes.nouns == tuple("wxyz")
    assert weights_sha256(saved.network) != weights_sha256(Network(saved.network.spec, seed=1))
    assert trained.hardware.versions["torch"] == torch.__version__


def test_a_finished_training_begun_again_trains_no_more(trained, clips, tmp_path: Path):
    shutil.copytree(trained.best.parent, tmp_path / "copy")
    assert fit(job(tmp_path / "copy", clips)).history == trained.history


@pytest.mark.slow
def test_sigterm_ends_a_training_as_what_a_retry_mends_which_goes_on_in_the_same_folder(trained, clips, tmp_path: Path):
    with pytest.raises(Unavailable, match="SIGTERM"):
        fit(job(tmp_path, clips), on_epoch=lambda _: signal.raise_signal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert scores(fit(job(tmp_path, clips))) == scores(trained)
    assert_same_files(tmp_path, trained.best.parent)


@pytest.mark.slow
def test_begun_again_between_epochs_is_as_if_undisturbed(clips, tmp_path: Path):
    assert_resumes(lambda name: job(tmp_path / name, clips, **RICH | IN_PICTURES | IN_BACKBONES, validation_crops=10, epochs=2), 0)


@pytest.mark.slow
def test_early_stopping_holds_where_it_stopped_even_if_killed_there(clips, tmp_path: Path):
    choice = {"patience": 1, "epochs": 10, "learning_rate": 0.3}
    outcome = fit(job(tmp_path / "one", clips, **choice))
    assert outcome.stopped_early
    assert outcome.best_epoch == len(outcome.history) - 2
    with pytest.raises(Stop):
        fit(job(tmp_path / "two", clips, **choice), on_epoch=stop_after(len(outcome.history) - 1))
    assert scores(fit(job(tmp_path / "two", clips, **choice))) == scores(outcome)


def test_the_hook_sees_both_files_and_each_epoch_is_one_line(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    seen = []
    with caplog.at_level(logging.INFO, logger="tasks.learn.training.epochs"):  # `costs` adds lines where a batch takes long
        fit(job(tmp_path, clips, epochs=2, validate_every=2, trainable="heads"), on_epoch=seen.append)
    assert [(files.last.exists(), files.best is not None, files.best_is_new) for files in seen] == [
        (True, False, False),
        (True, True, True),
    ]
    assert seen[0].records[0].val is None
    assert [record.getMessage()[:10] for record in caplog.records] == ["epoch 1/2;", "epoch 2/2;"]
    assert re.search(r"top-1 verb \d+\.\d %, noun \d+\.\d %, action \d+\.\d %", caplog.text)
    assert "left" in caplog.text


@pytest.mark.parametrize("make", [job, kept_job])
def test_without_objects_verbs_alone_are_learned_and_told_of(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture, make):
    planned = make(tmp_path / "run", clips, epochs=2)
    planned = replace(planned, classes=planned.classes.model_copy(update={"has_objects": False}))
    before = planned.network.head.fc_noun.weight.detach().clone()
    with caplog.at_level(logging.INFO, logger="tasks.learn"):
        outcome = fit(planned)
    saved = load(outcome.best)
    assert not saved.classes.has_objects
    assert torch.equal(saved.network.head.fc_noun.weight, before)
    assert not torch.equal(saved.network.head.fc_verb.weight, Network(saved.network.spec, seed=1).head.fc_verb.weight)
    assert outcome.best_val_loss == min(record.val.verb_loss for record in outcome.history)
    assert "verb" in caplog.text
    assert not {word for word in ("noun", "action") if word in caplog.text}
    assert {name for name, value in asdict(outcome.history[0].val).items() if value is not None} == {"loss", "verb_loss", "verb_top1"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU, and a CPU trains in no 16-bit floating point but bfloat16")
def test_float16_trains_on_a_gpu(clips, tmp_path: Path):
    outcome = fit(replace(job(tmp_path, clips, epochs=8, precision="16-mixed"), device="cuda"))
    losses = [record.train.loss for record in outcome.history]
    assert len(losses) == 8
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    states = load(outcome.best).network.state_dict().values()
    assert {tensor.dtype for tensor in states if tensor.is_floating_point()} == {torch.float32}


def test_a_loss_that_is_never_a_number_is_named(clips, tmp_path: Path):
    planned = replace(job(tmp_path, clips), options=OPTIONS.model_copy(update={"epochs": 1, "learning_rate": 1e30}))
    with pytest.raises(BadConfiguration, match="never finite"):
        fit(planned)


def test_no_more_processes_read_clips_than_shared_memory_has_room_for(clips, tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture):
    batch_bytes = 2 * 2 * 3 * 224**2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6))

    def nums_workers(free_bytes: int, **choice) -> tuple[int, int]:
        caplog.clear()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
        setup = set_up_images(job(tmp_path, clips, validation_crops=10, **choice), "cuda")
        return setup.train_loader.num_workers, setup.val_loader.num_workers

    assert nums_workers(180 * batch_bytes) == (6, 6)
    assert not caplog.text
    assert nums_workers(66 * batch_bytes) == (6, 2)
    assert "2 of 6 processes read clips, because batches of 5.74 MiB have to fit into 37.9 MiB of shared memory" in caplog.text
    assert nums_workers(29 * batch_bytes) == (6, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_needs_a_gpu_is_refused_without(clips, tmp_path: Path):
    with pytest.raises(BadConfiguration, match="finds no GPU"):
        fit(replace(job(tmp_path, clips), device="cuda"))
    with pytest.raises(BadConfiguration, match="16-mixed needs a GPU"):
        fit(job(tmp_path, clips, precision="16-mixed"))
