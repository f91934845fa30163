"""Whole trainings by recipes: what each choice changes, and that a run that goes on is as one that was never stopped."""

import logging
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from tasks.errors import BadCheckpoint
from tasks.learn.inputs.data import ClipDataset
from tasks.learn.networks.checkpoints import load
from tasks.learn.training import epochs
from tasks.learn.training.epochs import head_file, is_logged
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import score_heads
from tasks.learn.training.module import ActionModule
from tasks.learn.training.optimizer import CrossEntropies, balanced_weights
from tasks.learn.training.trials import score_network
from tasks.options import ORIGINAL, training
from tests.learn.tiny import EXACT, assert_resumes, assert_same_files, job, kept_job, outspoken, state_of

pytestmark = pytest.mark.slow

SGD = {"optimizer": "sgd", "learning_rate": 0.1}
STILL = {"learning_rate": 1e-12, "epochs": 1} | EXACT
"""Weights that hardly change, so that losses are those of the network as it was."""
RECIPES = {
    "sgd": {**SGD, "accumulate_batches": 3, "batch_size": 1},
    "cosine": {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 2, "epochs": 4, "class_weights": "balanced",
        "label_smoothing": 0.1, "crop": "multi-scale", "dropout": 0.5, "label_noise": 0.5,
    },
}  # fmt: skip


ORIGINAL_CHOICES = ORIGINAL.model_dump(include={"dropout", "batch_norm", "validation_crops", "train_frames", "crop", "mirror"})


def rates(outcome: TrainOutcome) -> list[float]:
    return [record.learning_rate for record in outcome.history]


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_that_goes_on_is_as_one_that_was_never_stopped(name, clips, tmp_path: Path):
    outcome = assert_resumes(lambda folder: kept_job(tmp_path / folder, clips, **RECIPES[name]), 0)
    losses = [record.val.loss for record in outcome.history if record.val]
    assert min(losses) < losses[0]
    if name == "sgd":
        outcome.best.unlink()
        fit(kept_job(tmp_path / "whole", clips, **RECIPES[name]))
        assert_same_files(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize(
    ("choice", "expected", "said"),
    [
        ({"learning_rate": 0.01, "warmup_epochs": 1, "epochs": 3, "schedule": "cosine"}, [1e-4, 0.01, 0.005], ["0.0001", "0.01", "0.005"]),
        ({"epochs": 2}, [1e-3, 1e-3], []),
    ],
    ids=["changing", "constant"],
)
def test_the_rate_of_every_epoch_is_recorded_and_said_where_it_changes(clips, tmp_path: Path, caplog, choice, expected, said):
    with caplog.at_level(logging.INFO, logger="tasks.learn"):
        outcome = fit(kept_job(tmp_path / "run", clips, **choice))
    assert rates(outcome) == pytest.approx(expected)
    lines = [record.getMessage() for record in caplog.records if "learning rate " in record.getMessage()]
    assert [line.split("learning rate ")[1].split(";")[0] for line in lines] == said


def test_what_shapes_the_training_loss_makes_the_known_one_and_leaves_validation_as_it_is(clips, tmp_path: Path):
    def planned(name: str, **choice):
        made = job(tmp_path / name, clips, batch_size=4, **STILL, **choice)
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


def test_batches_of_a_step_are_as_one_larger_batch(clips, tmp_path: Path):
    def trained(batch_size: int, accumulate_batches: int) -> dict[str, torch.Tensor]:
        choice = {**SGD, "batch_size": batch_size, "accumulate_batches": accumulate_batches, "epochs": 2}
        return state_of(fit(replace(kept_job(tmp_path / f"batches of {batch_size}", clips, **choice), train=clips[:5])))

    whole, smaller, quarters = trained(4, 1), trained(2, 1), trained(1, 4)
    assert any((tensor - smaller[name]).abs().max() > 1e-4 for name, tensor in whole.items() if tensor.is_floating_point())
    for name, tensor in quarters.items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("make", [job, kept_job], ids=["whole", "kept"])
def test_the_epoch_is_chosen_by_the_loss_of_a_test_with_ten_crops(make, clips, tmp_path: Path):
    planned = make(tmp_path / "run", clips, validation_crops=10, epochs=2)
    outspoken(planned.network)
    outcome = fit(planned)
    losses = [record.val.loss for record in outcome.history]
    assert (outcome.best_epoch, outcome.best_val_loss) == (int(np.argmin(losses)), min(losses))
    loss, _ = score_network(load(outcome.best).network, planned.classes, planned.val, 10, "cpu")
    assert outcome.best_val_loss == pytest.approx(loss, rel=1e-5)


def test_the_original_training_shows_every_epoch_the_same_images_and_learns(clips, tmp_path: Path):
    planned = job(tmp_path, clips, **ORIGINAL_CHOICES, epochs=4, batch_size=1, validate_every=2)
    images: list[list[bytes]] = [[]]

    def note(_, given: tuple[torch.Tensor]) -> None:
        if planned.network.training:
            images[-1].append(given[0].numpy().tobytes())

    with planned.network.backbone.register_forward_pre_hook(note):
        outcome = fit(planned, on_epoch=lambda _: images.append([]))
    assert {frozenset(epoch) for epoch in images[:-1]} == {frozenset(images[0])}
    assert len(images[0]) == len(set(images[0])) == 4
    assert [record.val is None for record in outcome.history] == [True, False] * 2
    assert outcome.history[-1].train.loss < outcome.history[0].train.loss


LONG = {"epochs": 20, "feature_variants": 1, "batch_size": 4, "learning_rate": 1e-2, "validation_crops": 10}
KEPT = [1, 2, 4, 8, 16, 20]


@pytest.fixture
def twenty_are_many(monkeypatch):
    monkeypatch.setattr(training, "LONG_EPOCHS", 20)
    monkeypatch.setattr(epochs, "ALL_WRITTEN", 5)
    monkeypatch.setattr(epochs, "MIN_SECONDS", 3600)


@pytest.mark.usefixtures("twenty_are_many")
def test_quick_epochs_are_written_together_and_the_heads_on_the_way_answer_val_as_they_did_in_the_training(clips, tmp_path, caplog):
    seen, job = [], kept_job(tmp_path / "run", clips, **LONG, validate_every=4)
    with caplog.at_level(logging.INFO, logger="tasks.learn.training.epochs"):
        outcome = fit(job, on_epoch=seen.append)
    assert [record for files in seen for record in files.records] == list(outcome.history)
    assert [len(files.records) for files in seen[:5]] == [1] * 5
    assert len(seen) == 5 + 3
    assert len([record for record in caplog.records if record.getMessage().startswith("epoch ")]) == len(seen)
    assert [files.records[-1].epoch + 1 for files in seen if files.heads] == KEPT
    assert sorted(path.name for path in (tmp_path / "run").glob("heads*")) == [head_file(number) for number in KEPT]
    validated = {number - 1: tmp_path / "run" / head_file(number) for number in KEPT if number % 4 == 0}
    truth = torch.tensor([clip.verb for clip in job.val])
    for epoch, verbs, _ in score_heads(job, validated):
        val = outcome.history[epoch].val
        assert (verbs.argmax(1) == truth.numpy()).mean() == pytest.approx(val.verb_top1)
        assert torch.nn.functional.cross_entropy(torch.from_numpy(verbs), truth).item() == pytest.approx(val.verb_loss, rel=1e-5)
    validated[3].write_bytes(b"damaged")
    with pytest.raises(BadCheckpoint, match="not the heads of this training"):
        list(score_heads(job, validated))


@pytest.mark.usefixtures("twenty_are_many")
def test_a_long_training_that_is_killed_ends_as_if_undisturbed(clips, tmp_path):
    assert_resumes(lambda name: kept_job(tmp_path / name, clips, **LONG), 2, 15)
    for name in map(head_file, KEPT):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_short_training_keeps_no_heads(clips, tmp_path):
    fit(kept_job(tmp_path / "run", clips, epochs=8))
    assert not list((tmp_path / "run").glob("heads*"))


def test_ten_thousand_epochs_are_told_by_some_hundreds_and_the_first_thousand_by_all():
    logged = [epoch for epoch in range(10_000) if is_logged(epoch)]
    assert logged[:1000] == list(range(1000))
    assert len(logged) < 1300
    assert {2**power - 1 for power in range(14)} <= set(logged)
    assert max(later / epoch for epoch, later in pairwise(logged[1000:])) < 1.03
