"""What pages, tables and cards say about clips in which nothing happens."""

import pytest

from tasks.judge.report.card import model_card
from tasks.judge.report.comparison_text import markdown, text
from tasks.judge.report.network_page import networks_note, networks_page
from tasks.judge.report.nothing_scores import nothing_caption, nothing_rows
from tasks.store.records.evaluation import NothingScores
from tests.judge.report.compared import comparison_of
from tests.judge.report.test_comparison_text import compared
from tests.judge.report.tree import plain

SEEN = NothingScores(
    num_clips=12,
    num_sources=3,
    num_recognised=9,
    recall=0.75,
    recall_interval=(0.4, 0.9),
    num_action_clips=1200,
    num_false_alarms=30,
    false_alarms=0.025,
    false_alarms_interval=(0.01, 0.05),
)
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
    assert f"| fine-tuned | {RECOGNISED} | {ALARMS} |" in model_card(metrics)


def test_tables_have_them():
    found = compared(nothing=SEEN)
    table = markdown(found.results, found.differences, found.judgement, "none")
    lines = text(found.results, found.differences, found.judgement, "none").splitlines()
    assert f"| {CAPTION} | recognised [95 % interval] | false alarms [95 % interval] |" in table
    assert f"| fine-tuned | {RECOGNISED} | {ALARMS} |" in table
    assert f"  fine-tuned     {RECOGNISED} recognised; false alarms {ALARMS}" in lines
    assert max(map(len, lines)) <= 100


def test_a_comparison_of_networks_has_them():
    usual = comparison_of()
    assert "othing happens" not in networks_page(usual) + networks_note(usual)
    with_nothing = usual.model_copy(update={"networks": tuple(one.model_copy(update={"nothing": SEEN}) for one in usual.networks)})
    assert networks_page(with_nothing).count(RECOGNISED) == len(usual.networks)
    assert networks_note(with_nothing).count(ALARMS) == len(usual.networks)


def test_a_split_without_such_clips_has_false_alarms_alone():
    none = SEEN.model_copy(update={"num_clips": 0, "num_sources": 0, "num_recognised": 0, "recall": None, "recall_interval": None})
    (row,) = nothing_rows([("fine-tuned", none), ("baseline", None)])
    assert row.cells == ("-", ALARMS)
    assert nothing_caption([None, none]) == "Nothing happens in 0 clips of 0 source videos"
