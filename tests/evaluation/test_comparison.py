import numpy as np
import pytest

from tasks.evaluation.answers import Answers
from tasks.evaluation.comparison import headline, markdown, text
from tasks.evaluation.metrics import measure

BASELINE = "ImageNet backbone under untrained, seeded heads: this baseline is chance"


@pytest.fixture(scope="module")
def original_results(make_result, original):
    """The original experiment's two networks on its own clips, under the original's latency."""
    result = make_result(num_clips=23)
    sources = [str(i % 3) for i in range(23)]

    def of(model, network):
        scores = {target: measure(original(network, target), sources) for target in ("verb", "noun", "action")}
        return result.model_copy(update={"model": model, "num_sources": 3, **scores})

    return [of("fine-tuned", "tuned"), of("baseline", "baseline")]


def tables(page):
    """Header, and rows by name, of each table."""
    blocks = [b.splitlines() for b in page.split("\n\n") if b.startswith("|")]
    split = [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in block] for block in blocks]
    return [(header, {row[0]: row[1:] for row in rows}) for header, _, *rows in split]


def test_the_originals_three_tables(original_results):
    (verbs, verb_rows), (_, noun_rows), (_, action_rows), (_, speed_rows) = tables(markdown(original_results, BASELINE))
    assert verbs[0] == "Verbs, 3 classes"
    assert list(verb_rows) == ["baseline", "fine-tuned", "majority class: move"]
    assert verb_rows["fine-tuned"][0].startswith("43.5 % [")
    assert verb_rows["fine-tuned"][2:4] == ["42.5 %", "43.5 %"]
    assert noun_rows["fine-tuned"][2:4] == ["49.9 %", "47.8 %"]
    assert noun_rows["majority class: meat"][0] == "65.2 %"
    assert action_rows["fine-tuned"][2:4] == ["18.7 %", "30.4 %"]
    assert action_rows["baseline"][0].startswith("0.0 % [0.0, ")
    assert speed_rows["fine-tuned"][-1] == "4.28"


def test_the_majority_row_is_what_such_a_guesser_scores(original_results, original):
    """A guesser that ranks classes by how common they are, measured like a network."""
    answers = original("tuned", "action")
    ids, support = np.unique(answers.true, return_counts=True)
    ranked = np.tile(ids[np.argsort(-support, kind="stable")][:5], (23, 1))
    guesser = measure(Answers("action", answers.true, ranked, answers.names), ["a"] * 23)
    (_, rows) = tables(markdown(original_results, BASELINE))[2]
    values = (
        guesser.top1,
        guesser.top5,
        guesser.precision_weighted,
        guesser.recall_weighted,
        guesser.precision_macro,
        guesser.recall_macro,
    )
    assert rows["majority class: put meat"] == [f"{100 * v:.1f} %" for v in values]


def test_the_headline_does_not_hide_that_guessing_is_better(original_results):
    sentence = headline(original_results)
    assert "30.4 % of the actions right on 23 clips of 3 source videos" in sentence
    assert "better than the baseline (0.0 %), but no better than always guessing 'put meat' (34.8 %)" in sentence


def test_the_page_says_what_the_baseline_is_and_warns(original_results):
    page = markdown(original_results, BASELINE)
    assert f"Baseline: {BASELINE}." in page
    assert "Decision: promote" in page
    assert "Warning: always guessing 'put meat' scores 34.8 %" in page


def test_every_split_has_its_tables_unseen_clips_first(make_result):
    results = [make_result(model, split) for split in ("train", "val", "test") for model in ("fine-tuned", "champion", "baseline")]
    page = markdown(results, BASELINE)
    assert page.index("## Test") < page.index("## Val") < page.index("## Train")
    assert len(tables(page)) == 12
    assert list(tables(page)[0][1])[:3] == ["baseline", "champion", "fine-tuned"]
    assert [line.split(":")[0] for line in text(results, BASELINE).splitlines() if "clips of" in line] == ["test", "val", "train"]


def test_text_keeps_its_columns(original_results):
    lines = text(original_results, BASELINE).splitlines()
    header, baseline, tuned = lines[1:4]
    for target, score in (("verbs", "43.5 ["), ("nouns", "47.8 ["), ("actions", "30.4 [")):
        assert tuned[header.index(target) :].lstrip().startswith(score)
    assert len(header) == len(baseline) == len(tuned) <= 100
    assert "34.8 put meat" in lines[4]


def test_a_name_cannot_break_the_table(make_result):
    verb = make_result().verb.model_copy(update={"majority_class": "a | b\n\n# c"})
    page = markdown([make_result(model).model_copy(update={"verb": verb}) for model in ("baseline", "fine-tuned")], BASELINE)
    assert "| majority class: a \\| b # c |" in page
