"""What pages, tables and cards say of scores: of guessing, of clips in which nothing happens, and of those that some network cannot name."""

import re

import numpy as np
import pytest

from tasks.judge.report.comparison_text import comparison_text
from tasks.judge.report.networks import networks_note, networks_page
from tasks.judge.report.run import approval_question, model_card
from tasks.judge.report.scores import majority_scores, nothing_table
from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.metrics import measure
from tasks.store.records.evaluation import NameableClips, NetworkScore, NothingScores, UnnamedClips
from tasks.store.records.record import TARGETS
from tasks.wording import percent
from tests.judge.report.compared import comparison_of
from tests.judge.report.named import original
from tests.judge.report.runs import answers_of, result
from tests.judge.report.test_comparison_text import compared
from tests.judge.report.tree import HOSTILE, plain, rendered, rows_of
from tests.records import some

RECALL = {"num_clips": 12, "num_sources": 3, "num_recognised": 9, "recall": 0.75, "recall_interval": (0.4, 0.9)}
FALSE_ALARMS = {"num_action_clips": 1200, "num_false_alarms": 30, "false_alarms": 0.025, "false_alarms_interval": (0.01, 0.05)}
SEEN = some(NothingScores, **RECALL, **FALSE_ALARMS)
RECOGNISED, ALARMS = "9 of 12: 75.0 % [40.0, 90.0]", "30 of 1,200: 2.5 % [1.0, 5.0]"
CAPTION = "Nothing happens in 12 clips of 3 source videos"


@pytest.fixture(scope="module")
def metrics(make_inputs):
    usual = make_inputs("usual").metrics
    results = tuple(result.model_copy(update={"nothing": SEEN}) for result in usual.results)
    splits = tuple(size.model_copy(update={"num_nothing": 12}) for size in usual.splits)
    return usual.model_copy(update={"results": results, "splits": splits})


def test_page_and_card_have_a_row_for_each_network_and_the_checks_count_the_clips(metrics, changed_page):
    text = plain(changed_page(results=metrics.results, splits=metrics.splits))
    assert text.count(RECOGNISED) == text.count(ALARMS) == len(metrics.results)
    assert CAPTION in text
    assert "Clips in which nothing happens 24 clips" in text
    assert f"| new network | {RECOGNISED} | {ALARMS} |" in model_card(metrics)


def test_the_text_has_them():
    inputs = compared(nothing=SEEN)
    lines = comparison_text(inputs.results, inputs.ours, inputs.differences, inputs.judgement, "none").splitlines()
    assert CAPTION in lines
    assert f"  new network    {RECOGNISED} recognised; false alarms {ALARMS}" in lines
    assert max(map(len, lines)) <= 100


def test_a_comparison_of_networks_has_them():
    usual = comparison_of()
    assert "othing happens" not in networks_page(usual) + networks_note(usual)
    with_nothing = usual.model_copy(update={"networks": tuple(network.model_copy(update={"nothing": SEEN}) for network in usual.networks)})
    assert networks_page(with_nothing).count(RECOGNISED) == len(usual.networks)
    assert networks_note(with_nothing).count(ALARMS) == len(usual.networks)


def test_a_split_without_such_clips_has_false_alarms_alone():
    none = SEEN.model_copy(update={"num_clips": 0, "num_sources": 0, "num_recognised": 0, "recall": None, "recall_interval": None})
    table = nothing_table([("fine-tuned", none), ("baseline", None)])
    assert table.rows == (("fine-tuned", "-", ALARMS),)
    assert nothing_table([("baseline", None), ("fine-tuned", none)]).titles[0] == "Nothing happens in 0 clips of 0 source videos"


def nameable(run_with_unnamed, num_clips=250, classes=("verb knit", "noun sock")):
    """A champion that cannot name 150 of 400 clips."""
    shrunk = {"num_clips": num_clips, "difference": 0.125, "interval": (0.05, 0.2)}
    scores = tuple(
        NetworkScore(model=model, target=target, top1=top1, top1_interval=(top1 - 0.1, top1 + 0.1))
        for model, top1 in (("baseline", 0.4), ("champion", 0.5), ("fine-tuned", 0.6))
        for target in TARGETS
    )
    compared = {"scores": scores, "differences": tuple(change.model_copy(update=shrunk) for change in run_with_unnamed.differences)}
    return NameableClips(
        split=run_with_unnamed.deciding_split,
        num_all_clips=400,
        num_clips=num_clips,
        num_sources=min(num_clips, 9),
        unnamed=(UnnamedClips(model="champion", num_clips=400 - num_clips, classes=classes),),
        **compared if num_clips else dict.fromkeys(compared, ()),
    )


@pytest.fixture
def run_with_unnamed(make_inputs):
    metrics = make_inputs("usual").metrics
    return metrics.model_copy(update={"nameable": nameable(metrics)})


SENTENCES = (
    "150 of 400 test clips belong to classes that the champion cannot name: verb 'knit' and noun 'sock'.",
    "On the 250 clips of 9 source videos that every network can name, actions right: 40.0 % by the baseline, 50.0 % by the champion and "
    "60.0 % by the new network; in points +12.5 [5.0, 20.0] over the baseline and +12.5 [5.0, 20.0] over the champion. "
    "The gate decides on all clips.",
)


def test_question_and_first_screen_say_it_and_the_page_has_both_comparisons_side_by_side(run_with_unnamed, changed_page):
    html = changed_page(nameable=run_with_unnamed.nameable)
    top, _, scores = html.partition('<section id="scores">')
    _, _, asked = rendered(approval_question(run_with_unnamed, "http://localhost/report.html"))
    for sentence in SENTENCES:
        assert sentence in plain(top)
        assert sentence in asked
    table = re.search(r'<table class="nameable">(.*?)</table>', scores.partition("</section>")[0], re.S)[1]
    rows = rows_of(table)
    assert " | ".join(row[0] for row in rows[1:]) == (
        "baseline | champion (version 3) | new network | baseline → new network | champion → new network"
    )
    tuned = run_with_unnamed.results[-1]
    assert rows[3][1:4] == [f"{100 * tuned.verb.top1:.1f} %", "60.0 %", "[50.0, 70.0]"]
    assert rows[5][8:] == ["+12.5", "[5.0, 20.0]"]


def test_the_text_says_it(run_with_unnamed):
    inputs = compared()
    of_all = inputs.results, inputs.ours, inputs.differences, inputs.judgement, "none"
    assert SENTENCES[0] in " ".join(comparison_text(*of_all, run_with_unnamed.nameable).split())
    assert "cannot name" not in comparison_text(*of_all)


def test_the_card_says_it_and_has_the_actions_on_both(run_with_unnamed):
    card = model_card(run_with_unnamed)
    _, _, text = rendered(card.partition("\n---\n")[2])
    assert f"{SENTENCES[0]} The gate decides on all clips." in text
    lines = card.splitlines()
    first = lines.index("| actions, top-1 | all clips | 250 clips that every network can name | 95 % CI |")
    assert lines[first - 1] == ""
    action = run_with_unnamed.results[-1].action
    assert f"| new network | {percent(action.top1)} | 60.0 % | [50.0, 70.0] |" in lines[first + 2 : first + 7]
    assert lines[first + 6].startswith("| champion → new network | ")
    assert lines[first + 7] == ""
    assert len(card) < 5000


def test_where_no_clip_is_left_there_is_a_sentence_and_no_table(run_with_unnamed, changed_page):
    none = nameable(run_with_unnamed, num_clips=0)
    html = changed_page(nameable=none)
    for document in (html, model_card(run_with_unnamed.model_copy(update={"nameable": none}))):
        assert "400 of 400 test clips belong to classes that the champion cannot name" in document
        assert 'class="nameable"' not in document
        assert "all clips |" not in document
    assert "No clip is left that every network can name." in html


def test_names_stay_text(run_with_unnamed, changed_page):
    hostile = nameable(run_with_unnamed, classes=tuple(f"noun {name}" for name in HOSTILE))
    assert "<img src=x>" not in changed_page(nameable=hostile)
    _, links, _ = rendered(model_card(run_with_unnamed.model_copy(update={"nameable": hostile})).partition("\n---\n")[2])
    assert links == [run_with_unnamed.provenance.mlflow_run_url]


def test_the_majority_scores_are_those_of_a_guesser_that_ranks_classes_by_how_common_they_are():
    answers = answers_of(original(), "action", "fine-tuned")
    ids, support = np.unique(answers.true, return_counts=True)
    ranked = np.tile(ids[np.argsort(-support, kind="stable")][:5], (23, 1))
    guesser = measure(Answers("action", answers.true, ranked, answers.names), ["a"] * 23)
    scores = vars(majority_scores(result(original(), "fine-tuned", "val").action))
    assert scores == pytest.approx({share: getattr(guesser, share) for share in scores})
