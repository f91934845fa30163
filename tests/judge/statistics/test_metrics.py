import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, top_k_accuracy_score

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.metrics import measure
from tests.judge.report.named import original
from tests.judge.report.runs import answers_of as named_answers
from tests.judge.statistics.clips import answers, shuffled

# The golden table: top-1, weighted precision, weighted recall, majority class.
ORIGINAL_FIGURES = [
    ("baseline", "verb", (0.1304348, 0.0559006, 0.1304348, 0.3913043)),
    ("baseline", "noun", (0, 0, 0, 0.6521739)),
    ("baseline", "action", (0, 0, 0, 0.3478261)),
    ("fine-tuned", "verb", (0.4347826, 0.4245524, 0.4347826, 0.3913043)),
    ("fine-tuned", "noun", (0.4782609, 0.4986065, 0.4782609, 0.6521739)),
    ("fine-tuned", "action", (0.3043478, 0.1872910, 0.3043478, 0.3478261)),
]


@pytest.mark.parametrize(("network", "target", "figures"), ORIGINAL_FIGURES)
def test_the_original_experiments_answers_give_back_its_figures(network, target, figures):
    metrics = measure(named_answers(original(), target, network), [str(i) for i in range(23)])
    assert (metrics.top1, metrics.precision_weighted, metrics.recall_weighted, metrics.majority_top1) == pytest.approx(figures, abs=5e-8)
    assert metrics.num_clips == 23


def test_the_shared_answers_are_those_in_the_tests(shared, request):
    ours = request.path.parent / "original_val_predictions.csv"
    assert ours.read_bytes() == (shared / "golden" / ours.name).read_bytes()


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60))
def test_averages_are_scikit_learns(pairs):
    true, predicted = np.array([t for t, _ in pairs]), np.array([p for _, p in pairs])
    metrics = measure(answers(true, predicted), ["a"] * len(pairs))
    weighted = {"average": "weighted", "zero_division": 0}
    macro = {"average": "macro", "zero_division": 0, "labels": np.unique(true)}
    for figure, score, options in (
        (metrics.top1, accuracy_score, {}),
        (metrics.recall_weighted, accuracy_score, {}),
        (metrics.precision_weighted, precision_score, weighted),
        (metrics.precision_macro, precision_score, macro),
        (metrics.recall_macro, recall_score, macro),
        (np.mean([c.f1 for c in metrics.classes]), f1_score, macro),
    ):
        assert figure == pytest.approx(score(true, predicted, **options))
    assert sum(c.support for c in metrics.classes) == len(pairs)
    assert all(c.num_predicted == (predicted == int(c.name[1:])).sum() for c in metrics.classes)


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_clips_changes_nothing(make_clips, vocabulary, seed):
    clips = make_clips(15, seed=seed)
    for target in ("verb", "noun", "action"):
        before, after = (measure(answers_of(c, vocabulary)[target], c.sources) for c in (clips, shuffled(clips, seed)))
        assert before == after


def test_top5_is_scikit_learns(make_clips, vocabulary):
    clips = make_clips(200, skill=1.5)
    top5 = measure(answers_of(clips, vocabulary)["noun"], clips.sources).top5
    assert top5 == top_k_accuracy_score(clips.noun_classes, clips.noun_logits, k=5, labels=np.arange(352))
    assert 0.1 < top5 < 0.9


def test_the_majority_class_is_the_first_by_name_of_the_commonest():
    metrics = measure(answers([3, 2, 1, 3, 2], [2, 2, 2, 2, 2]), list("abcde"))
    assert (metrics.majority_class, metrics.majority_top1) == ("n2", 0.4)


def test_a_summary_says_what_was_scored(make_result):
    result = make_result(num_clips=30, num_sources=4)
    assert (result.model, result.split, result.num_clips, result.num_sources) == ("fine-tuned", "val", 30, 4)
    assert result.latency.fps == pytest.approx(8 / (0.018 + 1.850))
    assert result.latency.clips_per_second == pytest.approx(1 / 1.850)
    assert result.engine.label == "openvino bfloat16"
    assert result.verb.top1 >= result.action.top1 <= result.noun.top1
    assert type(result).model_validate_json(result.model_dump_json()) == result
