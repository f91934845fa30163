"""The first screen and the card say what a network cannot name, and what the comparison is without that."""

import re

import pytest

from tasks.report.card import model_card
from tasks.report.inputs import ReportInputs
from tasks.report.page import page
from tasks.report.question import approval_question
from tasks.results.evaluation import NameableClips, NetworkScore, UnnamedClips
from tasks.wording import percent
from tests.report.rendered import HOSTILE, rendered
from tests.report.tree import plain, rows_of

MODELS, TARGETS = ("baseline", "champion", "fine-tuned"), ("verb", "noun", "action")


def nameable(metrics, num_clips=250, classes=("verb knit", "noun sock")):
    """A champion that cannot name 150 of 400 clips."""
    shrunk = [one.model_copy(update={"num_clips": num_clips, "difference": 0.125, "interval": (0.05, 0.2)}) for one in metrics.differences]
    scores = [
        NetworkScore(model=model, target=target, top1=0.4 + 0.1 * i, top1_interval=(0.3 + 0.1 * i, 0.5 + 0.1 * i))
        for i, model in enumerate(MODELS)
        for target in TARGETS
    ]
    return NameableClips(
        split=metrics.deciding_split,
        num_all_clips=400,
        num_clips=num_clips,
        num_sources=min(num_clips, 9),
        unnamed=(UnnamedClips(model="champion", num_clips=400 - num_clips, classes=classes),),
        scores=tuple(scores) if num_clips else (),
        differences=tuple(shrunk) if num_clips else (),
    )


@pytest.fixture
def metrics(make_inputs):
    found = make_inputs("usual").metrics
    return found.model_copy(update={"nameable": nameable(found)})


SENTENCES = (
    "150 of 400 test clips belong to classes that the champion cannot name: verb 'knit' and noun 'sock'.",
    "On the 250 clips of 9 source videos that every network can name, actions right: 40.0 % by the baseline, 50.0 % by the champion and "
    "60.0 % by the fine-tuned; in points +12.5 [5.0, 20.0] over the baseline and +12.5 [5.0, 20.0] over the champion. "
    "The gate decides on all clips.",
)


def test_the_first_screen_says_it_and_has_both_comparisons_side_by_side(metrics):
    html = page(ReportInputs(metrics))
    top, _, scores = html.partition('<section id="scores">')
    for sentence in SENTENCES:
        assert sentence in plain(top)
    table = re.search(r'<table class="nameable">(.*?)</table>', scores.partition("</section>")[0], re.S)[1]
    rows = rows_of(table)
    assert " | ".join(row[0] for row in rows[1:]) == (
        "baseline | champion (version 3) | fine-tuned | baseline → fine-tuned | champion → fine-tuned"
    )
    tuned = metrics.results[-1]
    assert rows[3][1:4] == [f"{100 * tuned.verb.top1:.1f} %", "60.0 %", "[50.0, 70.0]"]
    assert rows[5][8:] == ["+12.5", "[5.0, 20.0]"]


def test_the_question_says_it_too(metrics):
    _, _, text = rendered(approval_question(metrics, "http://localhost/report.html"))
    for sentence in SENTENCES:
        assert sentence in text


def test_the_card_says_it_and_has_the_actions_on_both(metrics):
    card = model_card(metrics)
    _, _, text = rendered(card.partition("\n---\n")[2])
    assert f"{SENTENCES[0]} The gate decides on all clips." in text
    lines = card.splitlines()
    first = lines.index("| actions, top-1 | all clips | 250 clips that every network can name | 95 % CI |")
    assert lines[first - 1] == ""
    found = metrics.results[-1].action
    assert f"| fine-tuned | {percent(found.top1)} | 60.0 % | [50.0, 70.0] |" in lines[first + 2 : first + 7]
    assert lines[first + 6].startswith("| champion → fine-tuned | ")
    assert lines[first + 7] == ""
    assert len(card) < 5000


@pytest.mark.slow
def test_where_no_clip_is_left_there_is_a_sentence_and_no_table(metrics):
    none = metrics.model_copy(update={"nameable": nameable(metrics, num_clips=0)})
    for document in (page(ReportInputs(none)), model_card(none)):
        assert "400 of 400 test clips belong to classes that the champion cannot name" in document
        assert 'class="nameable"' not in document
        assert "all clips |" not in document
    assert "No clip is left that every network can name." in page(ReportInputs(none))


def test_where_every_network_can_name_every_clip_nothing_is_said(make_inputs, page_of):
    assert not re.search("can(not)? name", page_of("usual") + model_card(make_inputs("usual").metrics))


def test_names_stay_text(metrics):
    hostile = metrics.model_copy(update={"nameable": nameable(metrics, classes=tuple(f"noun {name}" for name in HOSTILE))})
    html = page(ReportInputs(hostile))
    assert "<img src=x>" not in html
    _, links, _ = rendered(model_card(hostile).partition("\n---\n")[2])
    assert links == [metrics.provenance.mlflow_run_url]
