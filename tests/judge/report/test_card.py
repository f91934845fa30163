import re

import pytest

from tasks.judge.gate.gate import attempt_in_words
from tasks.judge.gate.verdict import figures_in_words
from tasks.judge.report.run import approval_question, model_card
from tasks.store.records.dataset import SharedRecording
from tasks.store.records.decisions import RuleOutcome
from tasks.wording import percent, percent_interval, signed
from tests.judge.gate.conftest import spread_of
from tests.judge.report.conftest import CASES
from tests.judge.report.runs import web_page
from tests.judge.report.tree import HOSTILE_NAME, Tree, front_matter, rendered


@pytest.mark.parametrize("case", CASES)
def test_a_card_is_short_and_its_front_matter_holds_the_scores(make_inputs, case):
    metrics = make_inputs(case).metrics
    card = model_card(metrics)
    assert len(card) < 5000
    assert not re.search(r"(?<!\\)<(?!http)[a-z/!]", card), "names stay text"
    head, _ = front_matter(card)
    scored = [r for r in metrics.results if r.model == "fine-tuned"]
    assert len(scored) == (case != "bare")
    for tuned in scored:
        (model,) = head["model-index"]
        (result,) = model["results"]
        assert model["name"] == metrics.model_name
        assert result["dataset"]["split"] == metrics.deciding_split
        top1 = {f"{target} top-1": pytest.approx(getattr(tuned, target).top1, abs=1e-6) for target in metrics.targets}
        assert {score["name"]: score["value"] for score in result["metrics"]} == top1


def test_the_card_holds_every_score_and_difference_and_addresses_that_can_be_copied(make_inputs):
    metrics = make_inputs("usual").metrics
    card = model_card(metrics)
    for r in metrics.results:
        for m in (r.verb, r.noun, r.action):
            assert f"| {percent(m.top1)} | {percent_interval(m.top1_interval)} | {percent(m.top5)} | {percent(m.recall_macro)} |" in card
    for d in metrics.differences:
        assert f"| {d.target} | {d.opponent} → new network | {signed(d.difference)} | {percent_interval(d.interval)}" in card
    assert "- Dataset: `s3://retake/datasets/2c26b46b68ffc68f/`, digest `2c26b46b68ffc68f`" in card
    assert "split 7, training 0, bootstrap 0" in card


def test_tables_have_no_gaps_and_as_many_cells_as_their_head(make_inputs):
    for case in ("usual", "original", "hostile"):
        lines = model_card(make_inputs(case).metrics).splitlines()
        for i, line in enumerate(lines):
            if re.fullmatch(r"(\| [-:]+ )+\|", line):
                width = len(re.findall(r"(?<!\\)\|", line))
                assert len(re.findall(r"(?<!\\)\|", lines[i - 1])) == width
                assert lines[i + 1].startswith("|")
                for row in lines[i + 1 : lines.index("", i)]:
                    assert len(re.findall(r"(?<!\\)\|", row)) == width


def test_the_card_of_the_original_experiment_warns_of_guessing_and_of_val(make_inputs):
    card = model_card(make_inputs("original").metrics)
    assert "**No better than always predicting the most frequent class:** nouns: 47.8 % is below always predicting 'meat' (65.2 %)" in card
    limits = card.partition("## Limits")[2].partition("## Gate")[0]
    assert "- Val decides, and it also selected the kept epoch" in limits
    usual = model_card(make_inputs("usual").metrics)
    assert not [words for words in ("No better", "also selected") if words in usual]


def test_card_and_page_credit_videos_from_the_web(make_inputs, changed_page):
    pages = (web_page(), web_page("Fryer", "https://commons.wikimedia.org/wiki/File:Fryer.webm", None, published_on=None, licence=None))
    card = model_card(make_inputs("usual").metrics.model_copy(update={"web_pages": pages * 3}))
    assert f"- A day at the grill, by Street Kitchen, 2019-05-01; {pages[0].licence}: `{pages[0].address}`" in card
    assert "- Fryer, by unknown, without a date; no licence named; a channel of the user's own: `https://commons" in card
    assert "6 videos; the report and `metrics.json` list all." in card
    page = changed_page("usual", web_pages=pages * 3)
    assert Tree(page).faults == []
    assert page.count(f'href="{pages[0].address}"') == page.count(f'href="{pages[1].address}"') == 3
    assert "from the web" not in model_card(make_inputs("usual").metrics) + changed_page("usual")
    hostile = (web_page(HOSTILE_NAME, "javascript:alert(1)", HOSTILE_NAME, licence=HOSTILE_NAME),)
    card = model_card(make_inputs("usual").metrics.model_copy(update={"web_pages": hostile}))
    for text in (card, changed_page("usual", web_pages=hostile)):
        assert HOSTILE_NAME not in text
        assert 'href="javascript' not in text


def test_names_add_nothing_to_a_card(make_inputs):
    metrics = make_inputs("usual").metrics
    (change,) = metrics.class_changes[:1]

    def of(name, **changes):
        changed = {"class_changes": (change.model_copy(update={"name": name, "is_worse": True}),)}
        return rendered(front_matter(model_card(metrics.model_copy(update=changed | changes)))[1])

    rules = tuple(rule.model_copy(update={"detail": HOSTILE_NAME}) for rule in metrics.rules)
    tags, links, _ = of(HOSTILE_NAME, rules=rules, verdict=HOSTILE_NAME, network=HOSTILE_NAME, baseline=HOSTILE_NAME)
    assert (tags, links) == (of("put")[0], [metrics.provenance.mlflow_run_url])


URL = "http://localhost:5000/#/experiments/1/runs/0123/artifacts/decisions/9f86/report.html"


def question(metrics, **changes):
    return approval_question(metrics.model_copy(update=changes), URL)


def test_it_asks_with_the_verdict_every_rule_and_the_report(make_inputs):
    metrics = make_inputs("usual").metrics
    asked = question(metrics)
    tags, links, text = rendered(asked)
    assert links == [URL]
    assert text.startswith(metrics.verdict)
    assert "\n\n\n" not in question(metrics, rules=())
    assert tags.count("li") == len(metrics.rules)
    for rule in metrics.rules:
        assert f"{rule.title}: {'passed' if rule.passed else 'failed'}, {rule.detail}" in text
    assert "Approve makes the new version champion" in text


def test_val_is_not_said_to_have_chosen_an_epoch_where_there_is_one_alone(make_inputs):
    metrics = make_inputs("original").metrics
    assert metrics.val_chose
    single = metrics.model_copy(update={"epochs": metrics.epochs[:1], "fusion": None})
    assert "also selected the kept epoch" not in question(single)


def test_it_asks_with_three_figures_of_the_recipe_where_several_seeds_decide(make_inputs):
    metrics = make_inputs("usual").metrics
    assert figures_in_words(metrics) in rendered(question(metrics))[2]
    shares = {result.model: percent(result.action.top1) for result in metrics.results}
    gain = next(d for d in metrics.differences if (d.target, d.opponent) == ("action", "champion"))
    by_each = f"{shares['fine-tuned']} of the actions by the new network, {shares['champion']} by the champion: "
    assert figures_in_words(metrics).startswith(f"{by_each}{signed(gain.difference)} points, 95 % interval [")
    recipe = spread_of({0: 0.5, 1: 0.7}, gain.model_copy(update={"difference": 0.25, "interval": (0.0, 0.5)}))
    figures = figures_in_words(metrics.model_copy(update={"spread": recipe}))
    assert figures.startswith("60.0 % of the actions")
    assert figures.endswith("+25.0 points, 95 % interval [0.0, 50.0]")
    assert figures_in_words(metrics.model_copy(update={"differences": ()})) == ""


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
    recordings = tuple(SharedRecording(name="GoPro 0123", split=split, num_clips=2) for split in ("val", "test"))
    shared = {"checks": of_others.model_copy(update={"shared_recordings": recordings})}
    gate = metrics.gate.model_copy(update={"min_gate_sources": 4})
    for changes, expected in (
        ({}, ("1 source video in two splits", "1 val clip like a clip of another split")),
        ({"checks": of_others}, ()),
        (shared, ("2 val clips of recordings that train has, too",)),
        (shared | {"deciding_split": "test"}, ("2 test clips of recordings that train or val has, too",)),
        ({"checks": of_others, "gate": gate}, ("3 source videos of val alone",)),
    ):
        banner = changed_page("original", **changes)
        banner = banner[banner.index('<div class="verdict') : banner.index('<dl class="facts">')]
        for text in (question(metrics, **changes), model_card(metrics.model_copy(update=changes)), banner):
            assert [words for words in expected if words not in text] == []
            assert ("optimistic" in text) == bool(expected)


def test_how_often_these_clips_were_looked_at_stands_in_question_page_and_card(make_inputs, page_of):
    inputs = make_inputs("usual")
    detail = attempt_in_words(inputs.metrics.attempt, "test")
    rule = RuleOutcome(rule="looks", title="Error budget left for this year", passed=True, detail=detail)
    for said in (question(inputs.metrics, rules=(rule,)), page_of("usual"), model_card(inputs.metrics)):
        assert said.replace("\\", "").count("2 other networks were scored on these") == 1


def test_names_add_nothing_to_it(make_inputs):
    metrics = make_inputs("usual").metrics
    rules = tuple(rule.model_copy(update={"title": HOSTILE_NAME, "detail": f"verb '{HOSTILE_NAME}' loses"}) for rule in metrics.rules)
    tags, links, text = rendered(question(metrics, verdict=HOSTILE_NAME, rules=rules))
    assert (tags, links) == (rendered(question(metrics))[0], [URL])
    assert f"verb '{' '.join(HOSTILE_NAME.split())}' loses" in text
