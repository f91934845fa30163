"""The first screen and the card say what a network cannot name, and what the comparison is without that."""

import re

import pytest

from tasks.judge.report.card import model_card
from tasks.judge.report.question import approval_question
from tasks.store.records.evaluation import NameableClips, NetworkScore, UnnamedClips
from tasks.store.records.record import TARGETS
from tasks.wording import percent
from tests.judge.report.rendered import HOSTILE, rendered
from tests.judge.report.tree import plain, rows_of


def nameable(metrics, num_clips=250, classes=("verb knit", "noun sock")):
    """A champion that cannot name 150 of 400 clips."""
    shrunk = {"num_clips": num_clips, "difference": 0.125, "interval": (0.05, 0.2)}
    scores = tuple(
        NetworkScore(model=model, target=target, top1=top1, top1_interval=(top1 - 0.1, top1 + 0.1))
        for model, top1 in (("baseline", 0.4), ("champion", 0.5), ("fine-tuned", 0.6))
        for target in TARGETS
    )
    compared = {"scores": scores, "differences": tuple(change.model_copy(update=shrunk) for change in metrics.differences)}
    return NameableClips(
        split=metrics.deciding_split,
        num_all_clips=400,
        num_clips=num_clips,
        num_sources=min(num_clips, 9),
        unnamed=(UnnamedClips(model="champion", num_clips=400 - num_clips, classes=classes),),
        **compared if num_clips else dict.fromkeys(compared, ()),
    )


@pytest.fixture
def metrics(make_inputs):
    found = make_inputs("usual").metrics
    return found.model_copy(update={"nameable": nameable(found)})


SENTENCES = (
    "150 of 400 test clips belong to classes that the champion cannot name: verb 'knit' and noun 'sock'.",
    "On the 250 clips of 9 source videos that every network can name, actions right: 40.0 % by the baseline, 50.0 % by the champion and "
    "60.0 % by the fine-tuned network; in points +12.5 [5.0, 20.0] over the baseline and +12.5 [5.0, 20.0] over the champion. "
    "The gate decides on all clips.",
)


def test_the_first_screen_says_it_and_has_both_comparisons_side_by_side(metrics, changed_page):
    html = changed_page(nameable=metrics.nameable)
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


def test_where_no_clip_is_left_there_is_a_sentence_and_no_table(metrics, changed_page):
    none = nameable(metrics, num_clips=0)
    html = changed_page(nameable=none)
    for document in (html, model_card(metrics.model_copy(update={"nameable": none}))):
        assert "400 of 400 test clips belong to classes that the champion cannot name" in document
        assert 'class="nameable"' not in document
        assert "all clips |" not in document
    assert "No clip is left that every network can name." in html


def test_names_stay_text(metrics, changed_page):
    hostile = nameable(metrics, classes=tuple(f"noun {name}" for name in HOSTILE))
    assert "<img src=x>" not in changed_page(nameable=hostile)
    _, links, _ = rendered(model_card(metrics.model_copy(update={"nameable": hostile})).partition("\n---\n")[2])
    assert links == [metrics.provenance.mlflow_run_url]
