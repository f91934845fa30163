"""A training of hundreds of quick epochs: few writes, heads on the way, and the same end after a kill."""

import logging
from itertools import pairwise

import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.model import epochs
from tasks.model.epochs import head_file
from tasks.model.history import is_logged
from tasks.model.kept_heads import score_heads
from tasks.model.training import fit
from tests.model.test_features import kept_job
from tests.model.test_training import Stop, curves, same_files, scores

pytestmark = pytest.mark.slow

LONG = {"epochs": 200, "feature_variants": 1, "batch_size": 4, "learning_rate": 1e-2}
KEPT = [1, 2, 4, 8, 16, 32, 64, 128, 200]


@pytest.fixture(autouse=True)
def few_are_all_written(monkeypatch):
    monkeypatch.setattr(epochs, "ALL_WRITTEN", 5)


def kill_after(epoch):
    def hook(files):
        if files.records[-1].epoch + 1 >= epoch:
            raise Stop

    return hook


def test_quick_epochs_are_written_together_and_the_heads_on_the_way_are_kept(clips, tmp_path, caplog):
    seen = []
    with caplog.at_level(logging.INFO, logger="tasks.model.epochs"):
        outcome = fit(kept_job(tmp_path / "run", clips, tmp_path / "features", **LONG), on_epoch=seen.append)
    assert [record for files in seen for record in files.records] == list(outcome.history)
    assert [len(files.records) for files in seen[:5]] == [1] * 5
    assert len(seen) < 30
    assert len([record for record in caplog.records if record.getMessage().startswith("epoch ")]) == len(seen)
    assert [files.records[-1].epoch + 1 for files in seen if files.heads] == KEPT
    assert sorted(path.name for path in (tmp_path / "run").glob("heads*")) == [head_file(number) for number in KEPT]


@pytest.mark.slow
def test_a_long_training_that_is_killed_ends_as_if_undisturbed(clips, tmp_path):
    root = tmp_path / "features"
    undisturbed = fit(kept_job(tmp_path / "whole", clips, root, **LONG))
    for epoch in (3, 128):
        with pytest.raises(Stop):
            fit(kept_job(tmp_path / "cut", clips, root, **LONG), on_epoch=kill_after(epoch))
    assert scores(fit(kept_job(tmp_path / "cut", clips, root, **LONG))) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "whole")
    assert curves(tmp_path / "cut") == curves(tmp_path / "whole")
    for number in KEPT:
        assert (tmp_path / "cut" / head_file(number)).read_bytes() == (tmp_path / "whole" / head_file(number)).read_bytes()


@pytest.mark.parametrize("choice", [{}, {"validation_crops": 10, "ema_decay": 0.9, "validate_every": 4}])
def test_kept_heads_answer_val_as_they_did_in_the_training(clips, tmp_path, choice):
    job = kept_job(tmp_path / "run", clips, tmp_path / "features", **LONG | choice)
    outcome = fit(job)
    validated = {number - 1: tmp_path / "run" / head_file(number) for number in KEPT if number % 4 == 0}
    truth = torch.tensor([clip.verb for clip in job.val])
    for epoch, verbs, _ in score_heads(job, validated):
        val = outcome.history[epoch].val
        assert (verbs.argmax(1) == truth.numpy()).mean() == pytest.approx(val.verb_top1)
        assert torch.nn.functional.cross_entropy(torch.from_numpy(verbs), truth).item() == pytest.approx(val.verb_loss, rel=1e-5)
    validated[3].write_bytes(b"")
    with pytest.raises(BadCheckpoint, match="not the heads of this training"):
        list(score_heads(job, validated))


def test_a_short_training_keeps_no_heads(clips, tmp_path):
    fit(kept_job(tmp_path / "run", clips, tmp_path / "features", epochs=8))
    assert not list((tmp_path / "run").glob("heads*"))


def test_ten_thousand_epochs_are_told_by_some_hundreds_and_the_first_thousand_by_all():
    logged = [epoch for epoch in range(10_000) if is_logged(epoch)]
    assert logged[:1000] == list(range(1000))
    assert len(logged) < 1300
    assert {2**power - 1 for power in range(14)} <= set(logged)
    assert max(later / epoch for epoch, later in pairwise(logged[1000:])) < 1.03
