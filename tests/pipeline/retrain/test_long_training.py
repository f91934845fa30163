"""A long training with altered labels, from the step `train` to the refusal to register it."""

import csv
import re

import pytest

from tasks.errors import NothingToDo
from tasks.judge.statistics.long_training import from_parquet
from tasks.learn.training import epochs
from tasks.options import recipe
from tasks.store.records.metrics import Metrics

LONG = {"trainable": "heads", "epochs": 20, "batch_size": 4, "train_frames": "middle", "crop": "centre", "mirror": False}


@pytest.mark.slow
def test_altered_labels_are_scored_and_reported_and_never_registered(verbs, monkeypatch):
    monkeypatch.setattr(recipe, "LONG_EPOCHS", 20)
    monkeypatch.setattr(epochs, "ALL_WRITTEN", 5)
    plan, shelf = verbs.decide(**LONG, label_noise=0.5), verbs.store
    numbers, folder = [1, 2, 4, 8, 16, 20], f"{plan.run_uri}train/"
    shelf.objects[f"{folder}last.ckpt"] = b"what a search left: all epochs, and no heads on the way"
    trained = verbs.run("train")

    assert trained.kept_epochs == tuple(number - 1 for number in numbers)
    assert sorted(uri for uri in shelf.objects if "/heads/" in uri) == [f"{folder}heads/{number:06d}.pt" for number in numbers]
    assert len(list(csv.reader(shelf.objects[f"{folder}epochs.csv"].decode().splitlines()))) == 21
    by_epoch = {epoch.epoch: epoch for epoch in trained.epochs}
    for kept in from_parquet(shelf.objects[f"{folder}answers.parquet"], "answers"):
        assert kept.right["verb"].mean() == pytest.approx(by_epoch[kept.epoch].val_verb_top1)
        assert kept.losses.mean() == pytest.approx(by_epoch[kept.epoch].val_loss, rel=1e-4)
    assert {epoch.train_verb_top1 is None for epoch in trained.epochs} == {False}

    verbs.evaluate()
    compared, reported = verbs.report()
    assert not compared.passed
    assert compared.rules[0].rule == "labels"
    assert [score.epoch for score in shelf.read(reported.metrics_uri, Metrics).long_training.scores] == list(trained.kept_epochs)
    page = re.sub(r"<[^>]+>", " ", verbs.page(reported))
    assert "Labels were altered: 50.0 % of the training clips" in page
    assert "second descent" in page
    with pytest.raises(NothingToDo, match=r"not registered: label_noise 0\.5 altered training labels"):
        verbs.run("register")
    assert f"{plan.run_uri}register/result.json" not in shelf.objects
    assert (verbs.mlflow.versions, verbs.logged.info.status) == ({}, "FINISHED")


def test_a_short_training_has_no_section(verbs):
    plan = verbs.decide(**LONG | {"epochs": 2})
    trained = verbs.run("train")
    assert trained.kept_epochs == ()
    assert f"{plan.run_uri}train/answers.parquet" not in verbs.store.objects
