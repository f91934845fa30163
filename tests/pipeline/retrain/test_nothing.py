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
