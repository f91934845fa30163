"""A training of many quick epochs: few writes, heads on the way, and the same end after a kill."""

import logging
from itertools import pairwise

import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.learn.training import epochs
from tasks.learn.training.cached_heads import score_heads
from tasks.learn.training.epochs import head_file
from tasks.learn.training.fit import fit
from tasks.learn.training.progress import is_logged
from tasks.options import recipe
from tests.learn.tiny import assert_resumes, kept_job

pytestmark = pytest.mark.slow

LONG = {"epochs": 20, "feature_variants": 1, "batch_size": 4, "learning_rate": 1e-2, "validation_crops": 10}
KEPT = [1, 2, 4, 8, 16, 20]


@pytest.fixture
def twenty_are_many(monkeypatch):
    monkeypatch.setattr(recipe, "LONG_EPOCHS", 20)
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
    validated[3].write_bytes(b"")
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
