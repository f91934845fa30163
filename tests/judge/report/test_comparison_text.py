from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.judge.gate.gate import contenders, judge
from tasks.judge.report.comparison_text import headline, markdown, text
from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.metrics import measure
from tasks.options import GateOptions
from tasks.store.records.evaluation import Attempt
from tasks.store.records.record import TARGETS
from tasks.wording import percent_interval
from tests.judge.report.named import drawn, mixed, original
from tests.judge.report.runs import answers_of, beyond_guessing, difference, result
from tests.judge.report.tree import HOSTILE_NAME, rendered

BASELINE = "ImageNet backbone under untrained, seeded heads: this baseline is chance"
ORIGINAL = original()


def compared(named=ORIGINAL, splits=("val",), **changes):
    """Results of all networks with these changes, differences of the fine-tuned one over each other one, and what the gate says."""
    results = [result(named, role, split).model_copy(update=changes) for split in splits for role in reversed(named.answers)]
    ours, theirs = contenders(results, "test" if "test" in splits else "val")
    differences = [difference(named, target, role) for role in reversed(named.answers) if role != "fine-tuned" for target in TARGETS]
    decisive = next(d for d in differences if (d.target, d.opponent) == ("action", theirs.model))
    judgement = judge(ours, theirs, decisive, beyond_guessing(named), [], GateOptions(), Attempt())
    return SimpleNamespace(results=results, ours=ours, differences=differences, judgement=judgement)


def with_majority(name):
    return compared(action=result(ORIGINAL, "fine-tuned", "val").action.model_copy(update={"majority_class": name}))


@pytest.fixture(scope="module")
def comparison():
    """The original experiment's two networks on its own clips."""
    return compared()


def page_of(comparison, write=markdown):
    return write(comparison.results, comparison.ours, comparison.differences, comparison.judgement, BASELINE)


def tables(page):
    """Header, and rows by name, of each table."""
    blocks = [b.splitlines() for b in page.split("\n\n") if b.startswith("|")]
    split = [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in block] for block in blocks]
    return [(header, {row[0]: row[1:] for row in rows}) for header, _, *rows in split]


def test_the_version_before_is_named_by_its_number_where_there_is_room():
    inputs = compared(mixed())
    page = markdown(inputs.results, inputs.ours, inputs.differences, inputs.judgement, BASELINE, previous_version=12)
    assert page.count("| version 12 (previous) |") == 4
    assert "| previous → new network |" in page
    assert "\n  over previous " in page_of(inputs, text)


def test_the_originals_three_tables(comparison):
    _, (verbs, verb_rows), (_, noun_rows), (_, action_rows), (_, speed_rows) = tables(page_of(comparison))
    assert verbs[0] == "Verbs, 3 classes"
    assert list(verb_rows) == ["baseline", "new network", "baseline → new network", "majority class: move"]
    assert verb_rows["new network"][0].startswith("43.5 % [")
    assert verb_rows["new network"][2:4] == ["42.5 %", "43.5 %"]
    assert noun_rows["new network"][2:4] == ["49.9 %", "47.8 %"]
    assert noun_rows["majority class: meat"][0] == "65.2 %"
    assert action_rows["new network"][2:4] == ["18.7 %", "30.4 %"]
    assert action_rows["baseline"][0].startswith("0.0 % [0.0, ")
    assert speed_rows["new network"][-1] == "5.20"


def test_the_difference_has_a_row_with_interval_and_test(comparison):
    difference = next(d for d in comparison.differences if d.target == "action")
    verb_row, noun_row, row = (rows["baseline → new network"] for _, rows in tables(page_of(comparison))[1:4])
    assert (verb_row[0][:6], noun_row[0][:6]) == ("+30.4 ", "+47.8 ")
    assert row[:4] == [f"+30.4 {percent_interval(difference.interval)}, p = 0.016", "+30.4", "+18.7", "+30.4"]


def test_the_majority_row_is_what_such_a_guesser_scores(comparison):
    """A guesser that ranks classes by how common they are, measured like a network."""
    answers = answers_of(ORIGINAL, "action", "fine-tuned")
    ids, support = np.unique(answers.true, return_counts=True)
    ranked = np.tile(ids[np.argsort(-support, kind="stable")][:5], (23, 1))
    guesser = measure(Answers("action", answers.true, ranked, answers.names), ["a"] * 23)
    (_, rows) = tables(page_of(comparison))[3]
    shares = ("top1", "top5", "precision_weighted", "recall_weighted", "precision_macro", "recall_macro")
    assert rows["majority class: put meat"] == [f"{100 * getattr(guesser, share):.1f} %" for share in shares]


def test_the_original_experiment_cannot_pass_for_a_success(comparison):
    """Its report gave 47.8 % of the nouns, but not the 65 % of always predicting the most frequent noun."""
    for shown in (headline(comparison.judgement), page_of(comparison), " ".join(page_of(comparison, text).split())):
        assert shown.lstrip("*").startswith("No better than guessing: ")
        assert "30.4 % of the actions are right" in shown
        assert "34.8 % by always predicting 'put meat'" in shown
    for shown in (page_of(comparison), " ".join(page_of(comparison, text).split())):
        assert "only 47.8 % of the nouns correctly, against 65.2 % for always predicting 'meat'" in shown
    caveat = "no better than always predicting 'put meat' (34.8 % of actions) and 'meat' (65.2 % of nouns)"
    assert caveat in comparison.judgement.reason
    assert "verb" not in comparison.judgement.why


def test_the_page_says_what_the_baseline_is_and_what_the_gate_found(comparison):
    page = page_of(comparison)
    assert f"Baseline: {BASELINE}." in page
    header, rows = tables(page)[0]
    assert header == ["Rule", "outcome", "detail"]
    assert list(rows) == [rule.title for rule in comparison.judgement.rules]
    assert page.splitlines()[0].endswith(" Not promoted: there is still no champion.**")
    assert rows["Better than guessing"][0] == "**failed**"
    of_two = tables(page_of(compared(replace(ORIGINAL, num_sources=2))))[0][1]
    assert of_two["Enough source videos"] == ["**failed**", "2 source videos, at least 3 needed"]


def test_every_split_has_its_tables_unseen_clips_first():
    comparison = compared(drawn(40), ("train", "val", "test"))
    page = page_of(comparison)
    assert page.index("## Test") < page.index("## Val") < page.index("## Train")
    assert len(tables(page)) == 13
    verbs_of = [rows for header, rows in tables(page) if header[0].startswith("Verbs")]
    assert list(verbs_of[0])[:5] == ["baseline", "champion", "new network", "champion → new network", "baseline → new network"]
    assert "baseline → new network" not in verbs_of[1]
    headings = [line.partition(":")[0] for line in page_of(comparison, text).splitlines() if line.endswith("crops") and line[0] != " "]
    assert headings == ["test", "val", "train"]


def test_text_keeps_its_columns(comparison):
    lines = page_of(comparison, text).splitlines()
    assert max(map(len, lines)) <= 100
    start = lines.index("val: 23 clips of 3 source videos, 10 crops")
    header, baseline, tuned, gain, test, majority = lines[start + 1 : start + 7]
    for target, score in (("verbs", "43.5 ["), ("nouns", "47.8 ["), ("actions", "30.4 [")):
        assert tuned[header.index(target) :].lstrip().startswith(score)
    assert gain[header.index("actions") :].startswith("+30.4 [")
    assert test[header.index("actions") :].lstrip().startswith("p = 0.016")
    assert len(header) == len(baseline) == len(tuned)
    assert "34.8 put meat" in majority


def test_names_add_nothing_to_the_page(comparison):
    tags, links, text = rendered(page_of(with_majority(HOSTILE_NAME)))
    assert (tags, links) == (rendered(page_of(comparison))[0], [])
    assert f"majority class: {' '.join(HOSTILE_NAME.split())}" in text


def test_a_page_that_val_decides_says_what_val_leans_to(comparison):
    assert "also selected the kept epoch (or the fusion weights), so its scores are biased in favour" in rendered(page_of(comparison))[2]
    assert "also selected" not in page_of(compared(splits=("test",)))
