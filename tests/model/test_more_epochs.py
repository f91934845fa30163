"""A training that goes on to more epochs from its last checkpoint is the longer training, to the bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.model.training import fit
from tasks.model.trials import TrialJob
from tests.model.test_trials import heads, run_trial, through_fit, with_train
from tests.model.tiny import assert_same_files, job, learnt, scores

pytestmark = pytest.mark.slow

SHORT, LONG = 3, 7

CHOICES = {
    "warm-up": {"warmup_epochs": 2, "sampler": "balanced", "optimizer": "adamw", "weight_decay": 0.1, "dropout": 0.5},
    "step": {"schedule": "step", "step_epochs": 2, "warmup_epochs": 1, "decay_factor": 0.5, "ema_decay": 0.5, "accumulate_batches": 2},
    "plateau": {"schedule": "plateau", "plateau_validations": 1, "learning_rate": 0.3, "mixup": 1, "validation_crops": 10},
    "early stopping": {"patience": 1, "learning_rate": 0.03, "ema_decay": 0.3, "mixup": 0.2, "clip_norm": 1},
    "rare validation": {"validate_every": 2, "precision": "bf16-mixed"},
}


@pytest.mark.parametrize("name", ["step", "early stopping"])
def test_a_whole_network_goes_on_to_more_epochs(clips, tmp_path: Path, name):
    choice = {"trainable": "last-stage", "batch_norm": "train", **CHOICES[name]}
    direct = fit(job(tmp_path / "direct", clips, epochs=LONG, **choice))
    fit(job(tmp_path / "rung", clips, epochs=SHORT, **choice))
    further = fit(job(tmp_path / "rung", clips, epochs=LONG, **choice))
    assert scores(further) == scores(direct)
    assert further.best_epoch == direct.best_epoch
    assert_same_files(tmp_path / "rung", tmp_path / "direct")


@pytest.mark.parametrize("name", CHOICES)
def test_heads_go_on_to_more_epochs(clips, tmp_path: Path, name):
    planned = heads(tmp_path, clips, epochs=LONG, **CHOICES[name])
    fitted = through_fit(planned, tmp_path / "fit")

    def rung(folder: str, epochs: int) -> TrialJob:
        options = planned.train.options.model_copy(update={"epochs": epochs})
        return replace(with_train(planned, folder=tmp_path / folder, options=options), keeps_last=True)

    direct, short = run_trial(rung("direct", LONG)), run_trial(rung("short", SHORT))
    assert len(short.history) == SHORT
    assert (SHORT < len(direct.history) < LONG) == direct.stopped_early == (name == "early stopping")
    assert short.last == tmp_path / "short" / "last.ckpt"
    (tmp_path / "long").mkdir()
    shutil.copyfile(short.last, tmp_path / "long" / "last.ckpt")
    for _ in range(2):  # the second time it has finished
        further = run_trial(rung("long", LONG))
        assert scores(further) == scores(direct) == scores(fitted)
        assert (further.loss, further.right, further.best_epoch) == (direct.loss, direct.right, direct.best_epoch)
        assert learnt(tmp_path / "long") == learnt(tmp_path / "direct") == learnt(tmp_path / "fit")
    assert [file.name for file in (tmp_path / "long").iterdir()] == ["last.ckpt"]
