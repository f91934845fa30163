from dataclasses import replace
from types import SimpleNamespace

import pytest

from tasks.judge.gate.gate import contenders, judge
from tasks.judge.report.comparison_text import comparison_text, headline, mlflow_note
from tasks.options import GateOptions
from tasks.store.records.decisions import Attempt
from tasks.store.records.record import TARGETS
from tests.judge.report.named import drawn, mixed, original
from tests.judge.report.runs import beyond_guessing, difference, result
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


@pytest.fixture(scope="module")
def comparison():
    """The original experiment's two networks on its own clips."""
    return compared()


def note_of(comparison):
    return mlflow_note(comparison.judgement, BASELINE, comparison.ours.split, val_chose=True)


def text_of(comparison):
    return comparison_text(comparison.results, comparison.ours, comparison.differences, comparison.judgement, BASELINE)


def test_the_version_before_has_its_row():
    assert "\n  over previous " in text_of(compared(mixed()))


def test_the_original_experiment_cannot_pass_for_a_success(comparison):
    """Its report gave 47.8 % of the nouns, but not the 65 % of always predicting the most frequent noun."""
    for shown in (headline(comparison.judgement), note_of(comparison), " ".join(text_of(comparison).split())):
        assert shown.lstrip("*").startswith("No better than guessing: ")
        assert "30.4 % of the actions are right" in shown
        assert "34.8 % by always predicting 'put meat'" in shown
    for shown in (note_of(comparison), " ".join(text_of(comparison).split())):
        assert "only 47.8 % of the nouns correctly, against 65.2 % for always predicting 'meat'" in shown
    caveat = "no better than always predicting 'put meat' (34.8 % of actions) and 'meat' (65.2 % of nouns)"
    assert caveat in comparison.judgement.reason
    assert "verb" not in comparison.judgement.why


def test_the_note_says_what_the_baseline_is_and_what_the_gate_found(comparison):
    said = note_of(comparison)
    assert f"Baseline: {BASELINE}." in said
    assert said.splitlines()[0].endswith(" Not promoted: there is still no champion.**")
    assert "| Rule | outcome | detail |" in said
    rows = [line.split(" | ")[:2] for line in said.splitlines() if line.startswith("| ")][2:]
    assert [f"| {rule.title}" for rule in comparison.judgement.rules] == [title for title, _ in rows]
    assert ["| Better than guessing", "**failed**"] in rows
    of_two = note_of(compared(replace(ORIGINAL, num_sources=2)))
    assert "| Enough source videos | **failed** | 2 source videos, at least 3 needed |" in of_two


def test_every_split_has_its_table_unseen_clips_first():
    lines = text_of(compared(drawn(40), ("train", "val", "test"))).splitlines()
    assert [line.partition(":")[0] for line in lines if line.endswith("crops") and line[0] != " "] == ["test", "val", "train"]


def test_text_keeps_its_columns(comparison):
    lines = text_of(comparison).splitlines()
    assert max(map(len, lines)) <= 100
    start = lines.index("val: 23 clips of 3 source videos, 10 crops")
    header, baseline, tuned, gain, test, majority = lines[start + 1 : start + 7]
    for target, score in (("verbs", "43.5 ["), ("nouns", "47.8 ["), ("actions", "30.4 [")):
        assert tuned[header.index(target) :].lstrip().startswith(score)
    assert gain[header.index("actions") :].startswith("+30.4 [")
    assert test[header.index("actions") :].lstrip().startswith("p = 0.016")
    assert len(header) == len(baseline) == len(tuned)
    assert "34.8 put meat" in majority


def test_names_add_nothing_to_the_note(comparison):
    action = result(ORIGINAL, "fine-tuned", "val").action.model_copy(update={"majority_class": HOSTILE_NAME})
    tags, links, said = rendered(note_of(compared(action=action)))
    assert (tags, links) == (rendered(note_of(comparison))[0], [])
    assert f"always predicting '{' '.join(HOSTILE_NAME.split())}'" in said


def test_a_note_where_val_decides_says_what_val_leans_to(comparison):
    assert "also selected the kept epoch (or the fusion weights), so its scores are biased in favour" in rendered(note_of(comparison))[2]
    assert "also selected" not in note_of(compared(splits=("test",)))
