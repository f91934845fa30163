"""Whole trainings by recipes: what each choice changes, and that a run that goes on is as one that was never stopped."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate

from tasks.learn.inputs.data import ClipDataset
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.module import ActionModule
from tasks.learn.training.recipe import CrossEntropies, balanced_weights
from tests.learn.tiny import EXACT, HEADS, assert_resumes, assert_same_files, curves, figures, job, kept_job, outspoken, state_of

pytestmark = pytest.mark.slow

SGD = {"optimizer": "sgd", "learning_rate": 0.1}
STILL = {"learning_rate": 1e-12, "epochs": 1} | EXACT
"""Weights that hardly change, so that losses are those of the network as it was."""
RECIPES = {
    "sgd": {**SGD, "accumulate_batches": 3, "batch_size": 1},
    "cosine": {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 2, "epochs": 4, "class_weights": "balanced",
        "label_smoothing": 0.1, "crop": "multi-scale",
    },
    "constant": {"dropout": 0.5, "validation_crops": 10, "warmup_epochs": 1, "precision": "bf16-mixed"},
}  # fmt: skip


def rates(outcome: TrainOutcome) -> list[float]:
    return [record.learning_rate for record in outcome.history]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_goes_on_is_as_one_that_was_never_stopped(recipe, clips, tmp_path: Path):
    outcome = assert_resumes(lambda name: kept_job(tmp_path / name, clips, **RECIPES[recipe]), 0)
    losses = [record.val.loss for record in outcome.history if record.val]
    assert min(losses) < losses[0]
    if recipe == "sgd":
        outcome.best.unlink()
        fit(kept_job(tmp_path / "whole", clips, **RECIPES[recipe]))
        assert_same_files(tmp_path / "whole", tmp_path / "resumed")
    if recipe == "cosine":
        through = fit(job(tmp_path / "through", clips, **HEADS | RECIPES[recipe]))
        assert figures(outcome) == pytest.approx(figures(through), rel=1e-5)
        theirs = state_of(through)
        for name, tensor in state_of(outcome).items():
            torch.testing.assert_close(tensor, theirs[name], msg=name)


@pytest.mark.parametrize(
    ("choice", "expected", "said"),
    [
        (
            {"learning_rate": 0.01, "warmup_epochs": 1, "epochs": 3, "schedule": "cosine"},
            [1e-4, 0.01, 0.005],
            ["0.0001", "0.01", "0.005"],
        ),
        ({"epochs": 2}, [1e-3, 1e-3], []),
    ],
    ids=["changing", "constant"],
)
def test_the_rate_of_every_epoch_is_recorded_and_drawn_and_said_where_it_changes(clips, tmp_path: Path, caplog, choice, expected, said):
    with caplog.at_level(logging.INFO, logger="tasks.learn"):
        outcome = fit(kept_job(tmp_path / "run", clips, **choice))
    assert rates(outcome) == pytest.approx(expected)
    assert list(curves(tmp_path / "run")["learning_rate"].values()) == pytest.approx(expected)
    lines = [record.getMessage() for record in caplog.records if "learning rate " in record.getMessage()]
    assert [line.split("learning rate ")[1].split(";")[0] for line in lines] == said


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_what_shapes_the_training_loss_makes_the_known_one_and_leaves_validation_as_it_is(trainable, clips, tmp_path: Path):
    def planned(name: str, **choice):
        made = job(tmp_path / name, clips, batch_size=4, trainable=trainable, **STILL, **choice)
        outspoken(made.network)
        return made

    made, plain = planned("made"), fit(planned("plain")).history[0]
    shown = ClipDataset(made.train, made.network.spec, lambda view: view.images(made.network.spec), seed=0)
    batch = default_collate([shown[key] for key in shown.keys(0)])
    module = ActionModule(made.network, made.options, made.train).eval()
    with torch.no_grad():
        of_each = CrossEntropies()(module.answer(module.see(batch.inputs)), batch.verb, batch.noun)
    trained = {
        name: fit(planned(name, **{name: value})).history[0] for name, value in (("class_weights", "balanced"), ("label_smoothing", 0.5))
    }
    weights = balanced_weights(batch.verb, 5)[batch.verb]
    assert trained["class_weights"].train.verb_loss == pytest.approx(float((of_each.verb * weights).mean()), rel=1e-4)
    for record in trained.values():
        assert abs(record.train.loss - plain.train.loss) > 5e-4
        assert record.train.verb_loss + record.train.noun_loss == pytest.approx(record.train.loss)
        assert record.val == plain.val


@pytest.mark.parametrize("make", [job, kept_job])
def test_batches_of_a_step_are_as_one_larger_batch(make, clips, tmp_path: Path):
    def trained(name: str, batch_size: int, accumulate_batches: int) -> dict[str, torch.Tensor]:
        choice = {**SGD, **EXACT, "batch_size": batch_size, "accumulate_batches": accumulate_batches, "epochs": 2}
        return state_of(fit(replace(make(tmp_path / name, clips, **choice), train=clips[:5])))

    whole, smaller = trained("whole", 4, 1), trained("smaller", 2, 1)
    assert any((tensor - smaller[name]).abs().max() > 1e-4 for name, tensor in whole.items() if tensor.is_floating_point())
    for name, *sizes in (("halves", 2, 2), ("quarters", 1, 4)):
        for key, tensor in trained(name, *sizes).items():
            torch.testing.assert_close(tensor, whole[key], rtol=1e-4, atol=1e-6, msg=key)
