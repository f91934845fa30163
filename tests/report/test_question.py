import pytest

from tasks.report.card import model_card
from tasks.report.page import page
from tasks.report.question import approval_question
from tests.report.rendered import HOSTILE, rendered

URL = "http://localhost:5000/#/experiments/1/runs/0123/artifacts/decisions/9f86/report.html"


def question(metrics, **changes):
    return approval_question(metrics.model_copy(update=changes), URL)


def test_it_asks_with_the_verdict_every_rule_and_the_report(make_inputs):
    metrics = make_inputs("usual").metrics
    asked = question(metrics)
    tags, links, text = rendered(asked)
    assert links == [URL]
    assert text.startswith(metrics.verdict)
    assert tags.count("li") == len(metrics.rules)
    for rule in metrics.rules:
        assert f"{rule.title}: {'passed' if rule.passed else 'failed'}, {rule.detail}" in text
    assert "Approve makes the new version champion" in text


@pytest.mark.parametrize(("version", "told"), [(3, "Current champion: version 3."), (None, "Current champion: none yet.")])
def test_it_says_who_is_champion(make_inputs, version, told):
    assert told in question(make_inputs("usual").metrics, champion_version=version)


def test_it_says_what_val_leans_to_where_val_decides(make_inputs):
    assert "also selected the kept epoch" in question(make_inputs("original").metrics)
    assert "also selected" not in question(make_inputs("usual").metrics)


def test_which_attempt_on_these_clips_it_is_stands_in_question_page_and_card(make_inputs):
    inputs = make_inputs("usual")
    for said in (question(inputs.metrics), page(inputs), model_card(inputs.metrics)):
        assert "This is decision number 3, after 2 other networks," in said.replace("\\", "")
    assert "This is" not in question(inputs.metrics, attempt=None)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_add_nothing_to_it(make_inputs, name):
    metrics = make_inputs("usual").metrics
    rules = tuple(rule.model_copy(update={"title": name, "detail": f"verb '{name}' loses"}) for rule in metrics.rules)
    tags, links, text = rendered(question(metrics, verdict=name, rules=rules))
    plain = rendered(question(metrics))[0]
    assert (tags, links) == (plain, [URL])
    assert f"verb '{' '.join(name.split())}' loses" in text


def test_it_needs_no_rules(make_inputs):
    assert "\n\n\n" not in question(make_inputs("usual").metrics, rules=())
