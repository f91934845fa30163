"""Where no label names an object, no document speaks of nouns or actions."""

import pytest

from tasks.judge.report import networks
from tasks.judge.report import search as search_tables
from tasks.judge.report.networks import networks_note, networks_page
from tasks.judge.report.run import model_card
from tasks.judge.report.search import search_note, search_page
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.record import VERB_ALONE
from tests.judge.report.a_search import search_of
from tests.judge.report.compared import comparison_of
from tests.judge.report.conftest import RETRAIN
from tests.judge.report.named import without_objects
from tests.judge.report.tree import Tree, front_matter, without_settings


def of_all(subject, tables, *pages):
    return " ".join([*pages, tables.table(subject).decode(), tables.verdict(subject), *tables.metrics_of(subject)])


def of_search():
    search = search_of(5, targets=VERB_ALONE)
    return of_all(search, search_tables, search_page(search, RETRAIN), search_note(search))


def of_comparison():
    comparison = comparison_of(without_objects())
    return of_all(comparison, networks, networks_page(comparison), networks_note(comparison))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda page_of, _: Tree(without_settings(page_of("verbs alone"))).text, ["classifies"]),
        (lambda page_of, _: Tree(page_of("verbs alone prediction")).text, ["same verb"]),
        (lambda _, make_inputs: front_matter(model_card(make_inputs("verbs alone").metrics))[1], ["to predict the verb of short video"]),
        (lambda *_: of_search(), ["verb top-1"]),
        (lambda *_: of_comparison(), ["has the highest verb top-1", "verb_top1_low", "verb top-1, %"]),
    ],
    ids=["report", "prediction", "card", "search", "comparison"],
)
def test_no_document_speaks_of_nouns_or_actions(page_of, make_inputs, written, expected):
    text = without_settings(written(page_of, make_inputs)).lower()
    assert [words for words in expected if words not in text] == []
    assert not [word for word in ("noun", "action", NO_OBJECT) if word in text]
