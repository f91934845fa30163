from tasks.judge.report.card import model_card
from tasks.judge.report.question import approval_question
from tests.judge.report.rendered import HOSTILE_NAME, rendered

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


def test_it_says_who_is_champion_and_what_val_leans_to_where_val_decides(make_inputs):
    usual = make_inputs("usual").metrics
    assert "Current champion: version 3." in question(usual, champion_version=3)
    provisional = question(usual, champion_version=3, champion_is_provisional=True)
    assert "Current champion: version 3 (provisional)." in provisional
    assert "the new version the provisional champion" in question(usual, provisional=True)
    assert "Current champion: none yet." in question(usual, champion_version=None)
    assert "also selected" not in question(usual)
    assert "also selected the kept epoch" in question(make_inputs("original").metrics)


def test_why_scores_may_be_too_optimistic_stands_in_question_card_and_the_banner_of_the_page(make_inputs, changed_page):
    metrics = make_inputs("original").metrics
    alike = metrics.checks.near_duplicates[0]
    of_others = metrics.checks.model_copy(update={"near_duplicates": (alike.model_copy(update={"split": "test"}),), "shared_sources": ()})
    gate = metrics.gate.model_copy(update={"min_gate_sources": 4})
    for changes, expected in (
        ({}, ("1 source video in two splits", "1 val clip like a clip of another split")),
        ({"checks": of_others}, ()),
        ({"checks": of_others, "gate": gate}, ("3 source videos of val alone",)),
    ):
        banner = changed_page("original", **changes)
        banner = banner[banner.index('<div class="verdict') : banner.index('<p class="gate-line">')]
        for text in (question(metrics, **changes), model_card(metrics.model_copy(update=changes)), banner):
            assert [words for words in expected if words not in text] == []
            assert ("optimistic" in text) == bool(expected)


def test_which_attempt_on_these_clips_it_is_stands_in_question_page_and_card(make_inputs, page_of):
    inputs = make_inputs("usual")
    for said in (question(inputs.metrics), page_of("usual"), model_card(inputs.metrics)):
        assert "This is decision number 3, after 2 other networks," in said.replace("\\", "")
    assert "This is" not in question(inputs.metrics, attempt=None)


def test_names_add_nothing_to_it(make_inputs):
    metrics = make_inputs("usual").metrics
    rules = tuple(rule.model_copy(update={"title": HOSTILE_NAME, "detail": f"verb '{HOSTILE_NAME}' loses"}) for rule in metrics.rules)
    tags, links, text = rendered(question(metrics, verdict=HOSTILE_NAME, rules=rules))
    assert (tags, links) == (rendered(question(metrics))[0], [URL])
    assert f"verb '{' '.join(HOSTILE_NAME.split())}' loses" in text


def test_it_needs_no_rules(make_inputs):
    assert "\n\n\n" not in question(make_inputs("usual").metrics, rules=())
