import csv
import io
import json
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.report.figures.recipes import recipes_chart
from tasks.report.figures.trials import curves_chart, history_chart, latency_chart
from tasks.report.search_page import retrain_address, search_note, search_page
from tasks.report.search_table import form_recipe, metrics_of, ranked, table, verdict
from tasks.results.record import VERB_ALONE
from tasks.results.search import Top1
from tests.report.a_search import search_of
from tests.report.named import HOSTILE_NAMES
from tests.report.rendered import rendered

pytestmark = pytest.mark.slow

RETRAIN = {"store": "s3://retake", "learning_rate": 0.003, "fuse": [], "checkpoint": None}
CASES = {
    "three": lambda: search_of(3, num_failed=0),
    "usual": lambda: search_of(24),
    "folds and latency": lambda: search_of(24, folds=5, latency=True),
    "many": lambda: search_of(120, num_failed=9, latency=True, rounds=8),
    "one": lambda: search_of(1, num_failed=0, rounds=1),
    "one video": lambda: search_of(12, one_source=True),
    "no accuracy in the curves": lambda: search_of(12, has_accuracy=False),
}


@pytest.fixture(params=CASES)
def search(request):
    return CASES[request.param]()


def row_numbers(page):
    return [int(n) for n in re.findall(r'<th scope="row"><strong>(\d+)</strong>', page)]


def with_top1(search, number, top1, **changes):
    """The search with another score for one trial."""
    trials = [
        one.model_copy(update={"scores": {t: Top1(top1=top1, interval=s.interval) for t, s in one.scores.items()}, **changes})
        if one.number == number
        else one
        for one in search.trials
    ]
    return search.model_copy(update={"trials": tuple(trials)})


def test_the_page_needs_nothing_but_itself_and_says_its_charts_in_words(search):
    page = search_page(search, RETRAIN, "http://127.0.0.1:8080/dags/retrain")
    assert not re.search(r'(src|href)="(?!#|data:|http://127\.0\.0\.1:8080/)', page)
    assert not re.search(r"url\((?!#)|@import", page)
    drawn = re.findall(r"<svg viewBox.*?</svg>", page, re.DOTALL)
    assert len(drawn) >= 2
    for one in drawn:
        assert re.search(
            r'role="img" aria-labelledby="(\S+)-title \1-words"><title id="\1-title">[^<]+</title><desc id="\1-words">[^<]+</desc>', one
        )
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_finished_trial_has_a_row_the_ranked(search):
    numbers = row_numbers(search_page(search, RETRAIN))
    assert numbers == [trial.number for trial in ranked(search)]
    assert numbers[0] == search.winner


def test_only_the_best_thirty_are_open():
    page = search_page(CASES["many"](), RETRAIN)
    shown, _, collapsed = page.partition("The other 81 trials</summary>")
    assert len(row_numbers(shown)) == 30
    assert len(row_numbers(collapsed)) == 81


def test_failed_trials_are_named_with_their_reasons():
    page = search_page(search_of(24, num_failed=2, failure="BadVideo: kitchen.mp4: no frames"), RETRAIN)
    assert page.count("BadVideo: kitchen.mp4: no frames") == 2
    assert "2 failed</span>" in page


def test_the_verdict_names_the_recipe_its_score_and_what_is_left_without_luck():
    search = search_of(24)
    values = ranked(search)[0].values
    bias = search.bias.model_copy(update={"corrected": 0.466})
    said = verdict(with_top1(search, search.winner, 0.625).model_copy(update={"bias": bias}))
    assert f"trial {search.winner} is the best of 22: action top-1 62.5 %" in said
    assert f"with learning_rate={values['learning_rate']:.3g}, schedule={values['schedule']}, batch_size={values['batch_size']}" in said
    assert "Without the luck of the best, expect 46.6 %; 3 trainings of the same recipe with new seeds scored" in said
    assert "the gate of retrain decides" in said
    assert "most frequent" not in said


def test_a_winner_that_beats_no_guess_is_said_to():
    search = search_of(24).model_copy(update={"majority_top1": 0.9})
    assert "That does not beat always predicting the most frequent class (90.0 %)." in verdict(search)


@pytest.mark.parametrize(
    ("case", "said"), [("one", "nothing was chosen by it"), ("one video", "does not show how far scores vary by luck")]
)
def test_where_luck_cannot_be_estimated_no_number_is_given(case, said):
    search = CASES[case]()
    assert said in search_page(search, RETRAIN)
    assert "luck of the best, expect" not in verdict(search)


def test_new_seeds_that_failed_are_counted():
    search = search_of(24)
    assert "with a new seed failed" not in search_page(search, RETRAIN)
    first, *others = search.bias.seeds
    failed = first.model_copy(update={"failure": "the task was killed", "scores": {}})
    search = search.model_copy(update={"bias": search.bias.model_copy(update={"seeds": (failed, *others)})})
    assert "1 training of the winner's recipe with a new seed failed" in search_page(search, RETRAIN)


def test_scores_of_folds_are_those_of_left_out_clips():
    search = search_of(24, folds=5)
    assert "On the left-out clips of 5 folds (96 clips of 21 source videos)" in verdict(search)
    assert "first fold" in search_page(search, RETRAIN)
    row = next(csv.DictReader(io.StringIO(table(search).decode())))
    assert [float(row[f"fold_{n}_top1"]) for n in range(1, 6)] == list(ranked(search)[0].fold_top1)


def test_the_table_has_all_trials_with_exact_values():
    search = CASES["many"]()
    rows = list(csv.DictReader(io.StringIO(table(search).decode())))
    assert len(rows) == 120
    by_number = {trial.number: trial for trial in search.trials}
    for row in rows:
        trial = by_number[int(row["trial"])]
        assert float(row["learning_rate"]) == trial.values["learning_rate"]
        assert row["failed_because"] == (trial.failure or "")
        if trial.failure is None:
            assert float(row["action_top1"]) == trial.scores["action"].top1
            assert row["was_found"] == str(trial.was_found)
    assert [row["trial"] for row in rows][: len(ranked(search))] == [str(trial.number) for trial in ranked(search)]


def test_no_cell_of_the_table_becomes_a_formula():
    rows = csv.DictReader(io.StringIO(table(search_of(24, failure="=HYPERLINK(1)\nx", backbone="=1+1")).decode()))
    assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]


def test_metrics_are_numbers_of_the_winner():
    search = search_of(24, latency=True)
    found = metrics_of(search)
    assert found["action_top1"] == ranked(search)[0].scores["action"].top1
    assert found["num_failed"] == 2
    assert found["corrected_top1"] < found["action_top1"]
    assert all(isinstance(value, float) for value in found.values())
    assert "corrected_top1" not in metrics_of(CASES["one video"]())


def test_training_that_was_found_costs_nothing():
    search = search_of(24)
    spent = sum(one.seconds for one in search.trials if not one.was_found)
    assert any(one.was_found and one.seconds for one in search.trials)
    assert metrics_of(search)["training_hours"] == pytest.approx(spent / 3600)


def test_importances_stand_beside_chance_or_the_note_stands_alone():
    page = search_page(search_of(24), RETRAIN)
    assert page.count("the line is what chance explains") == 2 * 7  # as label and as tooltip
    alone = search_page(search_of(3, num_failed=0), RETRAIN)
    assert "Only 3 trials can be compared" in alone
    assert "by chance</em>" not in alone


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_stays_text(name):
    # Charts are drawn in a font without Chinese, and options are ASCII.
    search = search_of(24, failure=name, backbone=name.encode("ascii", "replace").decode(), note=name)
    search = search.model_copy(update={"plan": search.plan.model_copy(update={"dataset_uri": name})})
    page = search_page(search, RETRAIN, name)
    assert page.count("<script>") == 1  # the page's own
    assert "<img" not in page
    tags, links, _ = rendered(search_note(search))
    assert not {"img", "script", "a"} & set(tags)
    assert links == []


def test_without_objects_verbs_decide():
    search = search_of(24, targets=VERB_ALONE)
    written = [search_page(search, RETRAIN), search_note(search), table(search).decode(), verdict(search), *metrics_of(search)]
    # Options are described as in the form, for datasets of either kind.
    plain = re.sub(r'<table class="settings">.*?</table>', "", " ".join(written), flags=re.DOTALL)
    assert "verb top-1" in plain
    assert not [word for word in ("noun", "action") if word in plain.lower()]


def test_the_note_has_the_best_ten_and_counts_the_rest():
    note = search_note(search_of(24))
    assert len(re.findall(r"^\| \d+ \|", note, re.MULTILINE)) == 10
    assert "The best 10 of 22 trials. 2 trials failed." in note


def test_the_charts_say_what_they_show():
    search = search_of(24, latency=True)
    curves, history, latency, recipes = (draw(search) for draw in (curves_chart, history_chart, latency_chart, recipes_chart))
    finished = ranked(search)
    for chart in (history, latency, recipes):
        for trial in finished:
            assert f">trial {trial.number}" in chart.svg
    assert curves.svg.count("after 12 epochs</title>") == len(finished)
    assert latency.svg.count("</title>") == 1 + len(finished) + len(search.pareto)


def test_what_was_not_measured_is_not_drawn():
    assert latency_chart(search_of(24)) is None
    assert "Latency" not in search_page(search_of(24), RETRAIN)
    assert recipes_chart(CASES["one"]()) is None
    assert curves_chart(search_of(24).model_copy(update={"curves": {}})) is None
    assert curves_chart(CASES["no accuracy in the curves"]()).title == "Validation loss"


def test_the_page_shows_retrains_parameters_as_json_and_the_way_to_its_form():
    search = search_of(24)
    page = search_page(search, RETRAIN, retrain_address("http://airflow.example/dags/search/runs/manual__2026", RETRAIN))
    (text,) = re.findall(r"<code>({.*?})</code>", page, re.DOTALL)
    assert json.loads(text.replace("&#34;", '"')) == RETRAIN
    (address,) = re.findall(r'class="button" href="(http://airflow.example/retake/trigger/[^"]*)"', page)
    query = parse_qs(urlsplit(unescape(address)).query)
    assert (query["dag"], json.loads(query["conf"][0])) == (["retrain"], RETRAIN)
    assert retrain_address(None, RETRAIN) is None
    assert 'href="http' not in search_page(search, RETRAIN)
    assert 'href="javascript' not in search_page(search, RETRAIN, "javascript:alert(1)")


def test_the_recipe_of_the_form_is_shown_beside_the_winner():
    search = search_of(24)
    own = form_recipe(search)
    assert own.number == 0
    assert f"the recipe of the form ({100 * own.scores['action'].top1:.1f} %)" in verdict(search)
    assert "recipe of the form</th>" in search_page(search, RETRAIN)
    won = search.model_copy(update={"winner": 0})
    assert "It is the recipe of the form" in verdict(won)
    assert "recipe of the form</th>" not in search_page(won, RETRAIN)


def test_with_halving_only_the_longest_trained_may_win():
    search = search_of(24)
    halving = search.plan.search.model_copy(update={"halving": True})
    search = search.model_copy(update={"plan": search.plan.model_copy(update={"search": halving})})
    rounds = [trial.round for trial in ranked(search)]
    assert rounds == sorted(rounds, key=lambda one: one != 3)
    assert form_recipe(search) is None
