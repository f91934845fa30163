"""Clips in which nothing happens beside actions, every step from the training to the report real, but for the store and MLflow."""

import numpy as np
import pytest

from tasks.evaluation.scores_file import from_parquet
from tasks.results.dataset import NO_OBJECT, NOTHING, ClassRef, Vocabulary
from tasks.results.evaluation import EvaluateResult
from tasks.results.metrics import Metrics
from tasks.results.probe import ProbeAnswers
from tasks.steps.retrain import compare, evaluate, report, train
from tasks.store.layout import Dataset
from tasks.store.runs import Scores
from tests.steps.retrain.test_verb_alone import DATASET, DECISION, NONE_ID, run, workbench

__all__ = ["workbench"]

NOTHING_ID = 127
VOCABULARY = Vocabulary(
    verbs=(ClassRef(id=0, name="take"), ClassRef(id=1, name="put"), ClassRef(id=NOTHING_ID, name=NOTHING)),
    nouns=(ClassRef(id=20, name="bag"), ClassRef(id=26, name="meat"), ClassRef(id=NONE_ID, name=NO_OBJECT)),
)
LABELS = [
    ("take", 0, "bag", 20),
    ("put", 1, "meat", 26),
    (NOTHING, NOTHING_ID, NO_OBJECT, NONE_ID),
    (NOTHING, NOTHING_ID, NO_OBJECT, NONE_ID),
]


@pytest.mark.slow
def test_they_are_trained_as_a_class_and_count_in_a_row_of_their_own(workbench):
    shelf, book, plan = workbench
    manifest = shelf.read(Dataset(DATASET).manifest)
    clips = [
        clip.model_copy(update=dict(zip(("verb", "verb_class", "noun", "noun_class"), LABELS[number % 4], strict=True)))
        for number, clip in enumerate(manifest.clips)
    ]
    shelf.write(Dataset(DATASET).manifest, manifest.model_copy(update={"vocabulary": VOCABULARY, "clips": tuple(clips)}))
    run(train, shelf, plan=f"{DECISION}plan/")
    for one in plan.networks:
        run(evaluate, shelf, plan=f"{DECISION}plan/", model=one.model)
    compared = run(compare, shelf, plan=f"{DECISION}plan/")
    reported = run(report, shelf, plan=f"{DECISION}plan/")

    result = next(
        shelf.read(f"{e.out}result.json", EvaluateResult) for e in plan.evaluations if (e.model, e.split) == ("fine-tuned", "val")
    )
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
    assert book.metrics["fine-tuned/val/nothing_recall"] == result.nothing.recall
    metrics = shelf.read(reported.metrics_uri, Metrics)
    assert {int(np.sum(one.counts)) for one in metrics.confusions} == {2}
    assert {sum(one.num_clips for one in found.bins) for found in metrics.calibration} == {4}, "probabilities are served on all clips"
    assert NOTHING not in {one.true_verb for one in metrics.mistakes}
    assert [(size.split, size.num_clips, size.num_nothing, size.num_verbs) for size in metrics.splits] == [
        ("train", 4, 2, 2),
        ("val", 4, 2, 2),
    ]
    page = shelf.objects[reported.report_uri].decode()
    assert '<th scope="row">Clips in which nothing happens</th><td>4 clips</td>' in page
    assert "Nothing happens in 2 clips of 1 source video" in page
    probe = Scores(next(e.out for e in plan.evaluations if (e.model, e.split) == ("fine-tuned", "val"))).probe
    assert not shelf.exists(probe.uri) or len(shelf.read(probe.uri, ProbeAnswers).right["verb"]) == 2
