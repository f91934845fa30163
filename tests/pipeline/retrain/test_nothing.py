"""Clips in which nothing happens beside actions, every step from the training to the report real, but for the store and MLflow."""

import numpy as np
import pytest

from tasks.judge.statistics.scores_file import from_parquet
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.metrics import Metrics
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import dataset_clip, manifest_of, plan_result

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
def test_they_are_trained_as_a_class_and_count_in_a_row_of_their_own(bench):
    shelf = bench.store
    bench.label(*LABELS)
    a_version_before(bench)
    bench.decide(epochs=2)
    bench.run("train")
    result = bench.evaluate()["fine-tuned", "val"]
    compared, reported = bench.report()

    answers = from_parquet(shelf.objects[result.predictions_uri], result.predictions_uri)
    is_nothing = answers.verb_classes == NOTHING_ID
    says_nothing = answers.verb_logits.argmax(1) == NOTHING_ID
    right = (answers.verb_logits.argmax(1) == answers.verb_classes) & (answers.noun_logits.argmax(1) == answers.noun_classes)
    assert len(answers.uids) == 4
    assert (result.num_clips, result.action.num_clips, result.action.num_classes) == (2, 2, 2)
    assert result.action.top1 == right[~is_nothing].mean()
    assert result.verb.majority_top1 == 0.5
    assert (result.nothing.num_clips, result.nothing.num_recognised) == (2, (says_nothing & is_nothing).sum())
    assert (result.nothing.num_action_clips, result.nothing.num_false_alarms) == (2, (says_nothing & ~is_nothing).sum())
    assert {difference.num_clips for difference in compared.differences} == {2}
    assert bench.logged.data.metrics["fine-tuned/val/nothing_recall"] == result.nothing.recall
    metrics = shelf.read(reported.metrics_uri, Metrics)
    assert {int(np.sum(one.counts)) for one in metrics.confusions} == {2}
    assert {sum(one.num_clips for one in found.bins) for found in metrics.calibration} == {4}, "probabilities are served on all clips"
    assert NOTHING not in {one.true_verb for one in metrics.mistakes}
    assert [(size.split, size.num_clips, size.num_nothing, size.num_verbs) for size in metrics.splits] == [
        ("train", 4, 2, 2),
        ("val", 4, 2, 2),
    ]
    page = bench.page(reported)
    assert "gain/val/action_top1_over_previous" in bench.logged.data.metrics
    assert page.count('<th scope="row">version 1 (previous)') > 3
    assert '<th scope="row">Clips in which nothing happens</th><td>4 clips</td>' in page
    assert "Nothing happens in 2 clips of 1 source video" in page
