"""A training that goes on to more epochs from its last checkpoint is the longer training, to the bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.model.network import Network
from tasks.model.training import fit
from tasks.model.trials import TrialJob
from tests.model.test_training import job, learnt, same_files, scores
from tests.model.test_trials import HEADS, curve, heads, run_trial, trial

pytestmark = pytest.mark.slow

SHORT, LONG = 3, 7

CHOICES = {
    "constant": {"mixup": 0.4, "dropout": 0.5, "ema_decay": 0.9},
    "warm-up": {"warmup_epochs": 2, "sampler": "balanced", "optimizer": "adamw", "weight_decay": 0.1},
    "step": {"schedule": "step", "step_epochs": 2, "decay_factor": 0.5, "ema_decay": 0.5, "accumulate_batches": 2},
    "step after a warm-up": {"schedule": "step", "step_epochs": 1, "warmup_epochs": 1, "optimizer": "sgd"},
    "plateau": {"schedule": "plateau", "plateau_validations": 1, "learning_rate": 0.3, "mixup": 1, "validation_crops": 10},
    "early stopping": {"patience": 1, "learning_rate": 0.03, "ema_decay": 0.3, "mixup": 0.2, "clip_norm": 1},
    "rare validation": {"validate_every": 2, "precision": "bf16-mixed"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_a_whole_network_goes_on_to_more_epochs(clips, tmp_path: Path, name):
    choice = {"trainable": "last-stage", "batch_norm": "train", **CHOICES[name]}
    direct = fit(job(tmp_path / "direct", clips, epochs=LONG, **choice))
    fit(job(tmp_path / "rung", clips, epochs=SHORT, **choice))
    further = fit(job(tmp_path / "rung", clips, epochs=LONG, **choice))
    assert scores(further) == scores(direct)
    assert further.best_epoch == direct.best_epoch
    same_files(tmp_path / "rung", tmp_path / "direct")


@pytest.mark.parametrize("name", CHOICES)
def test_heads_go_on_to_more_epochs(clips, tmp_path: Path, name):
    choice = HEADS | CHOICES[name]
    planned = heads(tmp_path, clips, epochs=LONG, **choice)
    fitted = fit(replace(planned.train, folder=tmp_path / "fit", network=Network(planned.train.network.spec, seed=1)))

    def rung(folder: str, epochs: int) -> TrialJob:
        options = planned.train.options.model_copy(update={"epochs": epochs})
        return replace(planned, train=replace(planned.train, folder=tmp_path / folder, options=options), keeps_last=True)

    direct = run_trial(rung("direct", LONG))
    short = run_trial(rung("short", SHORT))
    assert len(short.history) == SHORT
    assert short.last == tmp_path / "short" / "last.ckpt"
    (tmp_path / "long").mkdir()
    shutil.copyfile(short.last, tmp_path / "long" / "last.ckpt")
    further = run_trial(rung("long", LONG))
    assert curve(further.history) == curve(direct.history) == scores(fitted)
    assert (further.loss, further.right, further.best_epoch) == (direct.loss, direct.right, direct.best_epoch)
    ours, theirs, of_fit = (learnt(torch.load(tmp_path / name / "last.ckpt", weights_only=True)) for name in ("long", "direct", "fit"))
    assert ours == theirs == of_fit
    assert [file.name for file in (tmp_path / "long").iterdir()] == ["last.ckpt"]


def test_the_case_of_early_stopping_stops_between_both(clips, tmp_path: Path):
    outcome = run_trial(trial(tmp_path, clips, **HEADS | CHOICES["early stopping"] | {"epochs": LONG}))
    assert outcome.stopped_early
    assert SHORT < len(outcome.history) < LONG


def test_a_finished_trial_that_runs_again_gives_the_same(clips, tmp_path: Path):
    planned = trial(tmp_path, clips, keeps_last=True, **HEADS)
    first = run_trial(planned)
    kept = first.last.read_bytes()
    assert run_trial(planned) == first
    assert first.last.read_bytes() == kept
