import csv
import io
import json
import re

import pytest

from tasks.options import TrainOptions
from tasks.report.figures.parallel import parallel_chart
from tasks.report.figures.trials import curves_chart, history_chart, latency_chart
from tasks.report.retrain_form import form_address, form_values
from tasks.report.search_page import search_note, search_page
from tasks.report.search_table import best_first, metrics_of, table, verdict
from tasks.results.record import VERB_ALONE
from tasks.results.search import Top1
from tests.report.a_search import search_of
from tests.report.named import HOSTILE_NAMES
from tests.report.rendered import rendered

CASES = {
    "three": lambda: search_of(3, num_failed=0),
    "usual": lambda: search_of(24),
    "folds and latency": lambda: search_of(24, folds=5, latency=True),
    "many": lambda: search_of(120, num_failed=9, latency=True, rounds=8),
    "one": lambda: search_of(1, num_failed=0, rounds=1, default=False),
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
    page = search_page(search, "http://127.0.0.1:8080/dags/retrain")
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


def test_every_finished_trial_has_a_row_the_best_first(search):
    numbers = row_numbers(search_page(search))
    assert numbers == [trial.number for trial in best_first(search)]
    assert numbers[0] == search.winner


def test_only_the_best_thirty_are_open():
    page = search_page(CASES["many"]())
    shown, _, collapsed = page.partition("The other 81 trials</summary>")
    assert len(row_numbers(shown)) == 30
    assert len(row_numbers(collapsed)) == 81


def test_the_lower_loss_then_the_earlier_trial_decides_a_tie():
    search = search_of(5, num_failed=0)
    for number, loss in enumerate((2.0, 1.0, 1.0, None, 3.0)):
        search = with_top1(search, number, 0.4, loss=loss)
    assert [one.number for one in best_first(search.model_copy(update={"winner": 1}))] == [1, 2, 0, 4, 3]


def test_failed_trials_are_named_with_their_reasons():
    page = search_page(search_of(24, num_failed=2, failure="BadVideo: kitchen.mp4: no frames"))
    assert page.count("BadVideo: kitchen.mp4: no frames") == 2
    assert "2 failed</span>" in page


def test_the_verdict_names_the_recipe_its_score_and_what_is_left_without_luck():
    search = with_top1(search_of(24), search_of(24).winner, 0.625)
    said = verdict(search)
    assert f"trial {search.winner} is the best of 22: action top-1 62.5 %" in said
    assert "learning_rate=0.000878, schedule=cosine, batch_size=8" in said
    assert (
        "Without the luck of the best, expect 46.6 %; 3 trainings of the same recipe with new seeds scored 50.0 %, 48.0 % and 46.0 %."
        in said
    )
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
    assert said in search_page(search)
    assert "luck of the best, expect" not in verdict(search)


def test_scores_of_folds_are_those_of_left_out_clips():
    search = search_of(24, folds=5)
    assert "On the left-out clips of 5 folds (96 clips of 21 source videos)" in verdict(search)
    assert "first fold" in search_page(search)
    row = next(csv.DictReader(io.StringIO(table(search).decode())))
    assert [float(row[f"fold_{n}_top1"]) for n in range(1, 6)] == list(best_first(search)[0].fold_top1)


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
    assert [row["trial"] for row in rows][: len(best_first(search))] == [str(trial.number) for trial in best_first(search)]


def test_no_cell_of_the_table_becomes_a_formula():
    rows = csv.DictReader(io.StringIO(table(search_of(24, failure="=HYPERLINK(1)\nx", backbone="=1+1")).decode()))
    assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]


def test_metrics_are_numbers_of_the_winner():
    search = search_of(24, latency=True)
    found = metrics_of(search)
    assert found["action_top1"] == best_first(search)[0].scores["action"].top1
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
    page = search_page(search_of(24))
    assert page.count("the line is what chance explains") == 2 * 7  # as label and as tooltip
    alone = search_page(search_of(3, num_failed=0))
    assert "Only 3 trials can be compared" in alone
    assert "by chance</em>" not in alone


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_stays_text(name):
    # Charts are drawn in a font without Chinese, and options are ASCII.
    search = search_of(24, failure=name, backbone=name.encode("ascii", "replace").decode(), note=name)
    search = search.model_copy(update={"plan": search.plan.model_copy(update={"dataset_uri": name})})
    page = search_page(search, name)
    assert page.count("<script>") == 1  # the page's own
    assert "<img" not in page
    tags, links, _ = rendered(search_note(search))
    assert not {"img", "script", "a"} & set(tags)
    assert links == []


def test_without_objects_verbs_decide():
    search = search_of(24, targets=VERB_ALONE)
    written = [search_page(search), search_note(search), table(search).decode(), verdict(search), *metrics_of(search)]
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
    curves, history, latency, parallel = (draw(search) for draw in (curves_chart, history_chart, latency_chart, parallel_chart))
    finished = best_first(search)
    for chart in (history, latency, parallel):
        for trial in finished:
            assert f">trial {trial.number}" in chart.svg
    assert curves.svg.count("after 12 epochs</title>") == len(finished)
    assert latency.svg.count("</title>") == 1 + len(finished) + len(search.pareto)


def test_what_was_not_measured_is_not_drawn():
    assert latency_chart(search_of(24)) is None
    assert "Latency" not in search_page(search_of(24))
    assert parallel_chart(CASES["one"]()) is None
    assert curves_chart(search_of(24).model_copy(update={"curves": {}})) is None
    assert curves_chart(CASES["no accuracy in the curves"]()).title == "Validation loss"


def test_the_form_gets_what_differs_from_its_defaults():
    search = search_of(24)
    winner = TrainOptions(learning_rate=0.003, schedule="cosine", fuse=["runs/1/"])
    values = form_values(search.plan.model_copy(update={"model_name": "kitchen"}), winner)
    assert values == {"learning_rate": 0.003, "schedule": "cosine", "fuse": ["runs/1/"], "model_name": "kitchen"}
    assert form_address("http://airflow.example/") == "http://airflow.example/dags/retrain"


def test_the_page_shows_the_forms_values_as_json_and_the_way_to_the_form():
    search = search_of(24)
    page = search_page(search, form_address("http://airflow.example"))
    (text,) = re.findall(r"<code>({.*?})</code>", page, re.DOTALL)
    assert json.loads(text.replace("&#34;", '"'))["learning_rate"] == best_first(search)[0].values["learning_rate"]
    assert 'href="http://airflow.example/dags/retrain"' in page
    assert 'href="http' not in search_page(search)
    assert 'href="javascript' not in search_page(search, "javascript:alert(1)")
