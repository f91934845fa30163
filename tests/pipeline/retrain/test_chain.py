"""From the training to report and registered model, every step real but for the store and MLflow, on labels and trainings of other kinds."""

import csv
import hashlib
import re
from datetime import UTC, datetime, timedelta

import mlflow
import numpy as np
import pytest

from tasks.errors import NothingToDo
from tasks.judge.statistics.answers import from_parquet
from tasks.judge.statistics.long_training import from_parquet as kept_from_parquet
from tasks.learn.networks.checkpoints import load
from tasks.learn.training import epochs
from tasks.options import training
from tasks.store.layout import Layout
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import VERB_ALONE
from tasks.tracking.flavours import TENSORS
from tasks.wording import percent
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import Fragile, Killed, dataset_clip, manifest_of, plan_result

OF_OBJECTS = re.compile(r"noun|action|\(none\)", re.IGNORECASE)


@pytest.mark.slow
def test_labels_that_name_no_object_make_one_target_from_the_training_to_the_registered_model(verbs, tmp_path, caplog):
    caplog.set_level("INFO")
    shelf = verbs.store
    plan = verbs.decide(engine="openvino")
    trained = verbs.run("train")
    assert all(epoch.val_verb_top1 is not None and epoch.val_action_top1 is None for epoch in trained.epochs)
    shelf.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    assert not load(tmp_path / "best.pt").classes.has_objects
    results = {model: result for (model, split), result in verbs.evaluate().items() if split == "val"}
    compared, reported = verbs.report()
    assert {result.targets for result in results.values()} == {VERB_ALONE}
    assert all(result.verb == result.action for result in results.values())
    assert f"baseline on 4 val clips: top-1 of verbs {percent(results['baseline'].verb.top1)}" in caplog.messages
    assert plan.weights.is_chance
    assert {name for name in verbs.logged.artifacts if name.startswith("baseline/val/")} == {"baseline/val/predictions.parquet"}
    assert {"fine-tuned/val/confusion_verbs.png", "fine-tuned/val/loss_per_clip.png"} <= verbs.logged.artifacts.keys()
    assert {difference.target for difference in compared.differences} == set(VERB_ALONE)
    written = " ".join(shelf.objects[compared.table_uri].decode().split())
    assert "4 of 4 val clips belong to classes that the baseline cannot name: verb 'wave' and verb 'наливать'." in written
    metrics = shelf.read(reported.metrics_uri, Metrics)
    assert (metrics.targets, metrics.network) == (VERB_ALONE, plan.weights.network)
    assert "of the verbs" in compared.verdict
    page = re.sub(r'<table class="settings">.*?</table>', "", verbs.page(reported), flags=re.DOTALL)
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "Verbs" in shown
    run = verbs.logged
    texts = (shown, reported.question, compared.reason, run.data.tags["mlflow.note.content"], *run.data.metrics, *run.artifacts)
    assert [text for text in texts if OF_OBJECTS.search(text)] == []
    assert {"fine-tuned/val/verb_top1", "gain/val/verb_top1_over_baseline", "val_verb_top1"} <= run.data.metrics.keys()
    assert "to predict the verb of short video clips" in shelf.objects[reported.card_uri].decode()
    assert (unregistered := verbs.logged.info.run_name).startswith("TSN test_resnet · ")
    verbs.register()
    assert verbs.logged.info.run_name == f"v1 · {unregistered}"
    assert mlflow.models.get_model_info(f"{verbs.model}/{TENSORS}").signature.outputs.input_names() == ["verb_logits"]


NOTHING_ID = 127
LABELS = [("take", 0, "bag", 20), ("put", 1, "meat", 26), *[(NOTHING, NOTHING_ID, NO_OBJECT, 352)] * 2]


def a_version_before(bench):
    """Register a version that was trained on other clips: the untrained network itself."""
    weights, run = bench.decide().weights, f"{STORE}/runs/{'0' * 16}/"
    bench.store.write(f"{STORE}/datasets/earlier/manifest.json", manifest_of([dataset_clip()]))
    bench.store.write(f"{run}decisions/1/plan/result.json", plan_result(dataset_uri=f"{STORE}/datasets/earlier/"))
    tags = {"retake.checkpoint_uri": weights.uri, "retake.checkpoint_sha256": weights.sha256, "retake.run_key": "0" * 16}
    bench.mlflow.create_registered_model("retake-tsn", tags={})
    bench.mlflow.create_model_version("retake-tsn", source="", run_id=None, tags=tags)


@pytest.mark.slow
def test_clips_in_which_nothing_happens_are_trained_as_a_class_and_count_in_a_row_of_their_own(bench):
    bench.label(*LABELS)
    a_version_before(bench)
    bench.decide()
    bench.run("train")
    result = bench.evaluate()["fine-tuned", "val"]
    compared, reported = bench.report()

    assert len(from_parquet(bench.store.objects[result.predictions_uri], result.predictions_uri).uids) == 4
    assert (result.num_clips, result.action.num_clips, result.nothing.num_clips, result.nothing.num_action_clips) == (2, 2, 2, 2)
    assert {difference.num_clips for difference in compared.differences} == {2}
    assert bench.logged.data.metrics["fine-tuned/val/nothing_recall"] == result.nothing.recall
    metrics = bench.store.read(reported.metrics_uri, Metrics)
    assert {int(np.sum(confusion.counts)) for confusion in metrics.confusions} == {2}
    assert {sum(own.num_clips for own in calibration.bins) for calibration in metrics.calibration} == {4}, (
        "probabilities are served on all clips"
    )
    assert NOTHING not in {mistake.true_verb for mistake in metrics.mistakes}
    assert [(size.split, size.num_clips, size.num_nothing, size.num_verbs) for size in metrics.splits] == [
        ("train", 4, 2, 2),
        ("val", 4, 2, 2),
    ]
    page = bench.page(reported)
    assert "gain/val/action_top1_over_previous" in bench.logged.data.metrics
    assert page.count('<th scope="row">version 1 (previous)') > 3
    assert '<th scope="row">Clips in which nothing happens</th><td>4 clips</td>' in page
    assert "Nothing happens in 2 clips of 1 source video" in page


LONG = {"trainable": "heads", "epochs": 20, "batch_size": 4, "train_frames": "middle", "crop": "centre", "mirror": False}


@pytest.mark.slow
def test_altered_labels_are_scored_and_reported_and_never_registered(verbs, monkeypatch):
    monkeypatch.setattr(training, "LONG_EPOCHS", 20)
    monkeypatch.setattr(epochs, "ALL_WRITTEN", 5)
    plan, shelf = verbs.decide(**LONG, label_noise=0.5), verbs.store
    numbers, folder = [1, 2, 4, 8, 16, 20], f"{plan.run_uri}train/"
    shelf.objects[f"{folder}last.ckpt"] = b"what a search left: all epochs, and no heads on the way"
    trained = verbs.run("train")

    assert trained.kept_epochs == tuple(number - 1 for number in numbers)
    assert sorted(uri for uri in shelf.objects if "/heads/" in uri) == [f"{folder}heads/{number:06d}.pt" for number in numbers]
    assert len(list(csv.reader(shelf.objects[f"{folder}epochs.csv"].decode().splitlines()))) == 21
    by_epoch = {epoch.epoch: epoch for epoch in trained.epochs}
    for kept in kept_from_parquet(shelf.objects[f"{folder}answers.parquet"], "answers"):
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


def test_a_short_training_keeps_no_answers(verbs):
    plan = verbs.decide(**LONG | {"epochs": 2})
    trained = verbs.run("train")
    assert trained.kept_epochs == ()
    assert f"{plan.run_uri}train/answers.parquet" not in verbs.store.objects


ONE_STEP = {"batch_size": 4}


def trained(bench):
    """Train and test a network; return its answers and its version."""
    bench.decide(**ONE_STEP)
    bench.run("train")
    return bench.evaluate_trained(), bench.register()


@pytest.mark.slow
@pytest.mark.parametrize("deletes_at_most", [1, 8])
def test_a_whole_chain_runs_wherever_a_clean_up_was_killed(bench, deletes_at_most):
    bench.store = Fragile()
    bench.label(("put", 1, "meat", 26), ("take", 2, "bag", 27))
    before, first = trained(bench)
    long_ago = datetime.now(UTC) - timedelta(days=100)
    bench.store.written = dict.fromkeys(bench.store.objects, long_ago)
    # The latest plan, the training on the page and a report that awaits its decision keep a training.
    of_model = Layout("s3://retake").status.of_model(first.model_name)
    for uri in ("s3://retake/plans/latest/result.json", of_model.training.uri, f"{bench.plan.decision_uri}report/result.json"):
        bench.store.remove(uri)
    bench.mlflow.delete_registered_model_alias(first.model_name, "challenger")
    bench.store.deletes_at_most = deletes_at_most
    with pytest.raises(Killed):
        bench.run("clean_up", dry_run=False)
    again, second = trained(bench)
    assert (again.verb_logits == before.verb_logits).all()
    known = bench.mlflow.get_model_version(second.model_name, str(second.version)).tags
    assert known["retake.checkpoint_sha256"] == hashlib.sha256(bench.store.objects[known["retake.checkpoint_uri"]]).hexdigest()
