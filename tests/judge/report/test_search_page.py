import json
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.judge.report.page_charts import curves_chart, history_chart, latency_chart
from tasks.judge.report.search import metrics_of, retrain_address, search_note, search_page, table, verdict
from tasks.judge.search.results import form_recipe, ranked
from tasks.pipeline.commands import parse
from tasks.wording import percent
from tests.judge.report.a_search import search_of
from tests.judge.report.conftest import RETRAIN, SEARCHES
from tests.judge.report.named import HOSTILE_NAMES
from tests.judge.report.tree import csv_rows, rendered

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def usual():
    return search_of(24)


def row_numbers(page):
    return [int(n) for n in re.findall(r'<th scope="row"><strong>(\d+)</strong>', page)]


@pytest.mark.parametrize("case", [case for case in SEARCHES if case != "hostile search"])
def test_every_finished_trial_has_a_row_the_ranked_and_only_the_best_thirty_are_open(page_of, case):
    search = SEARCHES[case]()
    numbers = row_numbers(page_of(case))
    assert numbers == [trial.number for trial in ranked(search)]
    assert numbers[0] == search.winner
    shown, _, collapsed = page_of(case).partition(f"The other {len(numbers) - 30} trials</summary>")
    assert (len(row_numbers(shown)), bool(collapsed)) == (min(len(numbers), 30), len(numbers) > 30)


def test_failed_trials_are_named_with_their_reasons():
    page = search_page(search_of(10, num_failed=2, failure="BadVideo: kitchen.mp4: no frames"), RETRAIN)
    assert page.count("BadVideo: kitchen.mp4: no frames") == 2
    assert "2 failed</span>" in page


def test_the_page_has_the_command_that_saves_the_winner_as_a_recipe(usual):
    uri = "s3://retake/searches/0123456789abcdef/0123456789ab/"
    search = usual.model_copy(update={"plan": usual.plan.model_copy(update={"search_uri": uri})})
    shown = re.search(r'<code>eval ".*"\n\.venv/bin/(python -m tasks recipe save .*)</code>', search_page(search, RETRAIN))[1]
    command, arguments = parse(shown.split()[3:])
    assert (command.name, arguments.search) == ("recipe save", uri)


def test_the_verdict_names_the_recipe_its_score_and_what_is_left_without_luck(usual):
    search, values = usual, ranked(usual)[0].values
    bias = search.bias.model_copy(update={"corrected": 0.466, "gain": None, "gain_interval": None})
    said = verdict(search.model_copy(update={"bias": bias}))
    top1 = percent(ranked(usual)[0].scores["action"].top1)
    assert f"trial {search.winner} is the best of 22: action top-1 {top1}" in said
    assert f"with learning_rate={values['learning_rate']:.3g}, schedule={values['schedule']}, batch_size={values['batch_size']}" in said
    assert "3 trainings of the same recipe with new seeds scored" in said
    assert "luck" not in said, "the repeated seeds decide the sentence"
    alone = search.model_copy(update={"bias": bias.model_copy(update={"seeds": ()})})
    assert "Without the luck of the best, expect about 46.6 %." in verdict(alone)
    assert "the gate of retrain decides" in said
    assert "chosen among 22 on val, so a decision on val counts them all" in said
    assert "most frequent" not in said
    assert "does not beat always predicting the most frequent class (90.0 %)" in verdict(usual.model_copy(update={"majority_top1": 0.9}))


@pytest.mark.parametrize(
    ("case", "said"),
    [("search of one trial", "nothing was chosen by it"), ("search on one video", "does not show how far scores vary by luck")],
)
def test_where_luck_cannot_be_estimated_no_number_is_given(page_of, case, said):
    assert said in page_of(case)
    assert "luck of the best, expect" not in verdict(SEARCHES[case]())


def test_new_seeds_that_failed_are_counted(page_of):
    assert "with a new seed failed" not in page_of("search")
    search = SEARCHES["search of one trial"]()
    first, *others = search.bias.seeds
    failed = first.model_copy(update={"failure": "the task was killed", "scores": {}})
    search = search.model_copy(update={"bias": search.bias.model_copy(update={"seeds": (failed, *others)})})
    assert "1 training of the winner's recipe with a new seed failed" in search_page(search, RETRAIN)


def test_scores_of_folds_are_those_of_left_out_clips():
    search = search_of(5, folds=5)
    assert "On the left-out clips of 5 folds (96 clips of 21 source videos)" in verdict(search)
    assert "on val, so" not in verdict(search)
    assert "first fold" in search_page(search, RETRAIN)
    assert [float(csv_rows(table(search))[0][f"fold_{n}_top1"]) for n in range(1, 6)] == list(ranked(search)[0].fold_top1)


def test_the_table_has_all_trials_with_exact_values_and_no_formula():
    search = SEARCHES["search of two objectives"]()
    rows = csv_rows(table(search))
    assert len(rows) == 80
    by_number = {trial.number: trial for trial in search.trials}
    for row in rows:
        trial = by_number[int(row["trial"])]
        assert float(row["learning_rate"]) == trial.values["learning_rate"]
        assert row["failed_because"] == (trial.failure or "")
        if trial.failure is None:
            assert float(row["action_top1"]) == trial.scores["action"].top1
            assert row["was_found"] == str(trial.was_found)
    assert [row["trial"] for row in rows][: len(ranked(search))] == [str(trial.number) for trial in ranked(search)]
    formulas = csv_rows(table(search_of(24, failure="=HYPERLINK(1)\nx", backbone="=1+1")))
    assert not [cell for row in formulas for cell in row.values() if cell.startswith("=")]


def test_metrics_are_numbers_of_the_winner_and_training_that_was_found_costs_nothing():
    search = search_of(24, latency=True)
    numbers = metrics_of(search)
    assert numbers["action_top1"] == ranked(search)[0].scores["action"].top1
    assert numbers["num_failed"] == 2
    assert numbers["corrected_top1"] < numbers["action_top1"]
    assert all(isinstance(value, float) for value in numbers.values())
    assert "corrected_top1" not in metrics_of(SEARCHES["search on one video"]())
    assert any(trial.was_found and trial.seconds for trial in search.trials)
    assert numbers["training_hours"] == pytest.approx(sum(trial.seconds for trial in search.trials if not trial.was_found) / 3600)


def test_importances_are_said_to_be_of_these_trials_alone_or_the_note_stands_alone(page_of):
    shares = "that an option explains by itself"
    assert "These shares are of this search&#39;s trials alone." in page_of("search") and shares in page_of("search")
    assert "Too few trials can be compared." in page_of("search on one video") and shares not in page_of("search on one video")


def test_hostile_names_stay_text():
    """Charts are drawn in a font without Chinese, and options are ASCII."""
    names = " ".join(HOSTILE_NAMES)
    search = search_of(5, failure=names, backbone=names.encode("ascii", "replace").decode(), note=names)
    search = search.model_copy(update={"plan": search.plan.model_copy(update={"dataset_uri": names})})
    page = search_page(search, RETRAIN, names)
    assert page.count("<script>") == 1  # the page's own
    assert "<img" not in page
    tags, links, _ = rendered(search_note(search))
    assert not {"img", "script", "a"} & set(tags)
    assert links == []


def test_the_note_has_the_best_ten_and_counts_the_rest(usual):
    note = search_note(usual)
    assert len(re.findall(r"^\| \d+ \|", note, re.MULTILINE)) == 10
    assert "The best 10 of 22 trials. 2 trials failed." in note


def test_the_charts_say_what_they_show():
    search = search_of(24, latency=True)
    curves, history, latency = (draw(search) for draw in (curves_chart, history_chart, latency_chart))
    finished = ranked(search)
    for chart in (history, latency):
        for trial in finished:
            assert f">trial {trial.number}" in chart.svg
    assert curves.svg.count("after 12 epochs</title>") == len(finished)
    assert latency.svg.count("</title>") == 1 + len(finished) + len(search.pareto)


def test_what_was_not_measured_is_not_drawn(usual, page_of):
    assert latency_chart(usual) is None
    assert "Latency" not in page_of("search")
    assert curves_chart(usual.model_copy(update={"curves": {}})) is None
    assert curves_chart(search_of(3, num_failed=0, has_accuracy=False)).title == "Validation loss"


def test_the_page_shows_retrains_parameters_as_json_and_the_way_to_its_form():
    search = SEARCHES["search of one trial"]()
    page = search_page(search, RETRAIN, retrain_address("http://airflow.example/dags/search/runs/manual__2026", RETRAIN))
    (text,) = re.findall(r"<code>({.*?})</code>", page, re.DOTALL)
    assert json.loads(unescape(text)) == RETRAIN
    assert "to train on the latest one, empty <em>Dataset</em>" in page
    (address,) = re.findall(r'class="button" href="(http://airflow.example/retake/trigger/[^"]*)"', page)
    query = parse_qs(urlsplit(unescape(address)).query)
    assert (query["dag"], json.loads(query["conf"][0])) == (["retrain"], RETRAIN)
    assert retrain_address(None, RETRAIN) is None
    for no_address in (None, "javascript:alert(1)"):
        assert not re.search('href="(http|javascript)', search_page(search, RETRAIN, no_address))


def test_the_recipe_of_the_form_is_shown_beside_the_winner(usual, page_of):
    own = form_recipe(usual)
    assert own.number == 0
    form = f"over the recipe of the form ({100 * own.scores['action'].top1:.1f} %)"
    assert verdict(usual).endswith(f"With new seeds, +2.1 points [\N{MINUS SIGN}4.0, 8.2] {form}: no gain shown, keep your recipe.")
    gained = usual.model_copy(update={"bias": usual.bias.model_copy(update={"gain_interval": (0.001, 0.041)})})
    assert f"[0.1, 4.1] {form}: a gain; the gate of retrain decides" in verdict(gained)
    assert "recipe of the form</th>" in page_of("search")
    won = usual.model_copy(update={"winner": 0})
    assert "It is the recipe of the form" in verdict(won)
    assert "recipe of the form</th>" not in search_page(won, RETRAIN)
