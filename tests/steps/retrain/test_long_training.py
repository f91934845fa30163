"""A long training with altered labels, from the step `train` to the refusal to register it."""

import csv
import re
from types import SimpleNamespace

import pytest

from tasks.errors import NothingToDo
from tasks.evaluation.kept_answers import from_parquet
from tasks.model import epochs
from tasks.options import TrainOptions
from tasks.results.metrics import Metrics
from tasks.steps.retrain import compare, evaluate, register, report, train
from tests.steps.retrain.test_verb_alone import DECISION, OPTIONS, RUN, run, workbench

__all__ = ["workbench"]

LONG = {"trainable": "heads", "epochs": 200, "batch_size": 4, "train_frames": "middle", "crop": "centre", "mirror": False}


class NoRegistry:
    """A registry that takes no version."""

    @classmethod
    def from_settings(cls, settings):
        return cls()


@pytest.mark.slow
def test_altered_labels_are_scored_and_reported_and_never_registered(workbench, monkeypatch):
    shelf, book, plan = workbench
    monkeypatch.setattr(epochs, "ALL_WRITTEN", 5)
    monkeypatch.setattr(register, "Registry", NoRegistry)
    monkeypatch.setattr(register, "Tracker", SimpleNamespace(from_settings=lambda settings: book))
    options = TrainOptions.model_validate(OPTIONS.model_dump() | LONG | {"label_noise": 0.5})
    shelf.write(f"{DECISION}plan/result.json", plan.model_copy(update={"train": options}))
    trained = run(train, shelf, plan=f"{DECISION}plan/")

    numbers = [1, 2, 4, 8, 16, 32, 64, 128, 200]
    assert trained.kept_epochs == tuple(number - 1 for number in numbers)
    assert sorted(uri for uri in shelf.objects if "/heads/" in uri) == [f"{RUN}train/heads/{number:06d}.pt" for number in numbers]
    assert len(list(csv.reader(shelf.objects[f"{RUN}train/epochs.csv"].decode().splitlines()))) == 201
    by_epoch = {one.epoch: one for one in trained.epochs}
    for kept in from_parquet(shelf.objects[f"{RUN}train/answers.parquet"], "answers"):
        assert kept.right["verb"].mean() == pytest.approx(by_epoch[kept.epoch].val_verb_top1)
        assert kept.losses.mean() == pytest.approx(by_epoch[kept.epoch].val_loss, rel=1e-4)
    assert {one.train_verb_top1 is None for one in trained.epochs} == {False}

    for one in plan.networks:
        run(evaluate, shelf, plan=f"{DECISION}plan/", model=one.model)
    compared = run(compare, shelf, plan=f"{DECISION}plan/")
    assert not compared.passed
    assert compared.rules[0].rule == "labels"
    reported = run(report, shelf, plan=f"{DECISION}plan/")
    assert [score.epoch for score in shelf.read(reported.metrics_uri, Metrics).long_training.scores] == list(trained.kept_epochs)
    page = re.sub(r"<[^>]+>", " ", shelf.objects[reported.report_uri].decode())
    assert "Labels were altered: 50.0 % of the training clips" in page
    assert "second descent" in page
    with pytest.raises(NothingToDo, match=r"not registered: label_noise 0\.5 altered training labels"):
        run(register, shelf, plan=f"{DECISION}plan/")
    assert f"{RUN}register/result.json" not in shelf.objects


@pytest.mark.slow
def test_a_checkpoint_that_a_search_left_is_no_start_of_a_long_training(workbench):
    shelf, _, plan = workbench
    options = TrainOptions.model_validate(OPTIONS.model_dump() | LONG)
    shelf.write(f"{DECISION}plan/result.json", plan.model_copy(update={"train": options}))
    shelf.objects[f"{RUN}train/last.ckpt"] = b"200 epochs, and no heads on the way"
    assert run(train, shelf, plan=f"{DECISION}plan/").kept_epochs[-1] == 199


def test_a_short_training_has_no_section(workbench):
    shelf, _, plan = workbench
    options = TrainOptions.model_validate(OPTIONS.model_dump() | LONG | {"epochs": 2, "mixup": 0.2})
    shelf.write(f"{DECISION}plan/result.json", plan.model_copy(update={"train": options}))
    trained = run(train, shelf, plan=f"{DECISION}plan/")
    assert trained.kept_epochs == ()
    assert {one.train_verb_top1 for one in trained.epochs} == {None}
    assert f"{RUN}train/answers.parquet" not in shelf.objects
