import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import ndtri

from tasks.judge.search.results import best_first, gain_over_form, importances, num_hours, scored, selection_bias, values_in_words
from tasks.store.records.search import Importance, TrialScore
from tasks.store.records.training import Epoch
from tests.judge.search.trials import clip, trial

EPOCH = Epoch(epoch=1, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0)


def score(right: str, loss: float = 1.0, num_epochs: int = 1) -> TrialScore:
    return TrialScore(
        run_key="k",
        epochs=(EPOCH.model_copy(update={"epoch": num_epochs - 1}),),
        seconds=2,
        loss=loss,
        right={"verb": "1" * len(right), "action": right},
    )


def test_folds_count_by_their_clips_and_one_video_says_nothing():
    clips = [[clip("a", "x"), clip("b", "x"), clip("c", "y")], [clip("d", "z")]]
    of_folds = scored(trial(), [score("110", loss=1.0), score("0", loss=3.0, num_epochs=2)], clips, "action")
    assert of_folds.scores["action"].top1 == 0.5
    assert of_folds.loss == pytest.approx(1.5)
    assert of_folds.seconds == 4
    assert of_folds.num_epochs == 2
    assert of_folds.fold_top1 == (pytest.approx(2 / 3), 0)
    of_one_source = scored(trial(), [score("1100")], [[clip(uid, "x") for uid in "abcd"]], "action")
    assert of_one_source.scores["action"].interval == (0, 1)


def test_a_tie_goes_to_the_lower_loss_and_then_to_the_earlier_trial():
    trials = [trial(0, 0.5, loss=2), trial(1, 0.5), trial(2, failure="x"), trial(3, 0.5), trial(4, 0.25, loss=0.1)]
    assert [trial.number for trial in best_first(trials, "action")] == [1, 3, 0, 4]


def test_hours_are_those_of_trainings_that_were_not_found():
    assert num_hours([trial(0, seconds=1800), trial(1, seconds=3600, was_found=True), trial(2, failure="x")]) == 0.5


def test_values_read_as_options():
    assert values_in_words({"dropout": 0.123456, "schedule": "cosine", "mirror": True}) == "dropout=0.123, schedule=cosine, mirror=True"


NUM_SOURCES, CLIPS_PER_SOURCE = 30, 5
SOURCES = [f"video-{i // CLIPS_PER_SOURCE}" for i in range(NUM_SOURCES * CLIPS_PER_SOURCE)]


def simulated(truths, rng, shared=0.5, within_source=0.3):
    """Answers of networks with these true scores: a clip is hard for all alike, and clips of one video resemble each other."""

    def parts(num_rows):
        of_source = np.repeat(rng.standard_normal((num_rows, NUM_SOURCES)), CLIPS_PER_SOURCE, axis=1)
        return np.sqrt(within_source) * of_source + np.sqrt(1 - within_source) * rng.standard_normal((num_rows, len(SOURCES)))

    hardness = np.sqrt(shared) * parts(1) + np.sqrt(1 - shared) * parts(len(truths))
    return hardness < ndtri(np.asarray(truths))[:, None]


def written(answers):
    return ["".join("01"[int(is_right)] for is_right in row) for row in answers]


def errors_over_searches(truths, num_searches=150):
    """Mean error of the winner's own score and of the corrected one, and standard error of the means."""
    rng = np.random.default_rng(0)
    own, corrected = [], []
    for _ in range(num_searches):
        answers = simulated(truths, rng)
        winner = int(answers.mean(axis=1).argmax())
        bias = selection_bias(written(answers), SOURCES, winner)
        own.append(answers[winner].mean() - truths[winner])
        corrected.append(bias.corrected - truths[winner])
    return np.mean(own), np.mean(corrected), np.std(corrected) / np.sqrt(num_searches)


@pytest.mark.slow
@pytest.mark.parametrize(
    "truths",
    [np.full(24, 0.4), 0.4 + 0.03 * np.linspace(-1.7, 1.7, 24), 0.4 + 0.08 * np.linspace(-1.7, 1.7, 24)],
    ids=["equal", "nearly equal", "different"],
)
def test_the_corrected_score_is_near_the_truth_where_the_winners_own_is_not(truths):
    own, corrected, error = errors_over_searches(truths)
    assert own > 0.03
    assert abs(corrected) < own / 8 + 2 * error


def test_a_winner_far_ahead_has_hardly_any_optimism():
    truths = np.array([0.3, 0.3, 0.3, 0.9])
    answers = simulated(truths, np.random.default_rng(0))
    bias = selection_bias(written(answers), SOURCES, winner=3)
    assert abs(bias.optimism) < 0.002
    assert bias.best_of_equal > 0.03


def test_the_lead_of_equal_trials_is_that_of_the_best_of_as_many_normal_draws():
    rng = np.random.default_rng(1)
    num_trials, num_sources = 20, 400
    answers = rng.random((num_trials, num_sources)) < 0.5
    bias = selection_bias(written(answers), [str(i) for i in range(num_sources)], winner=0)
    expected = rng.standard_normal((20_000, num_trials)).max(axis=1).mean() * np.sqrt(0.25 / num_sources)
    assert bias.best_of_equal == pytest.approx(expected, rel=0.1)


def test_trials_that_are_right_on_the_same_clips_have_no_luck_to_win_by():
    answers = np.repeat(simulated([0.4], np.random.default_rng(2)), 10, axis=0)
    bias = selection_bias(written(answers), SOURCES, winner=0)
    assert bias.optimism == pytest.approx(0, abs=0.002)
    assert bias.best_of_equal == pytest.approx(0, abs=0.002)
    assert bias.corrected == pytest.approx(answers[0].mean(), abs=0.002)


@settings(max_examples=30)
@given(st.data())
def test_no_luck_is_negative_however_many_clips_a_video_has(data):
    sources = data.draw(st.lists(st.sampled_from("abcd"), min_size=2, max_size=12).filter(lambda drawn: len(set(drawn)) > 1))
    right = data.draw(st.lists(st.text("01", min_size=len(sources), max_size=len(sources)), min_size=1, max_size=4))
    bias = selection_bias(right, sources, winner=0)
    assert 0 <= bias.optimism <= bias.best_of_equal
    if len(set(right)) == 1:
        assert bias.best_of_equal < 1e-9


@pytest.mark.parametrize(
    ("num_right", "num_form", "gain", "is_shown"),
    [((36, 36, 36), 10, 0.65, True), ((36, 12, 30), 10, 0.4, False), ((11, 11, 11), 10, 0.025, False)],
)
def test_the_gain_over_the_form_is_shown_if_neither_seeds_nor_videos_explain_it(num_right, num_form, gain, is_shown):
    """Three seeds of the winner and the form's recipe, each right on so many of 40 clips of 10 videos."""
    *seeds, form = ("".join("01"[number * 7 % 40 < right] for number in range(40)) for right in (*num_right, num_form))
    shown, (low, high) = gain_over_form(seeds, form, [str(number % 10) for number in range(40)])
    assert shown == pytest.approx(gain)
    assert low < shown < high
    assert (low > 0) == is_shown
    assert gain_over_form(seeds[:1], form, ["a", "b"] * 20) is gain_over_form(seeds, form, ["a"] * 40) is None


def test_equal_input_gives_equal_numbers_and_a_single_video_none():
    answers = written(simulated(np.full(5, 0.5), np.random.default_rng(3)))
    assert selection_bias(answers, SOURCES, 2) == selection_bias(answers, SOURCES, 2)
    alone = selection_bias(["0110", "1010"], ["a"] * 4, winner=0)
    assert alone.best_of_equal is alone.optimism is alone.corrected is None


DISTRIBUTIONS = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "class_weights": CategoricalDistribution(("none", "balanced")),
    "dropout": FloatDistribution(0, 0.8),
    "warmup_epochs": IntDistribution(0, 2),
}


def search_of(num_trials, top1, seed=0, **constant):
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(num_trials):
        rate, weights = float(10 ** rng.uniform(-5, -1)), ("none", "balanced")[rng.integers(2)]
        values = {"learning_rate": rate, "class_weights": weights, "dropout": rng.uniform(0, 0.8), "warmup_epochs": int(rng.integers(3))}
        trials.append(trial(number, round(float(np.clip(top1(values, rng), 0, 1)), 2), values=values | constant))
    return trials


def by_rate(values, rng):
    """Best at 1e-3, whose place on the scale of logarithms is the middle."""
    return 0.5 - 0.15 * abs(np.log10(values["learning_rate"]) + 3) + 0.02 * rng.standard_normal()


def test_what_matters_is_first_without_a_word_in_the_log_or_a_row_for_an_option_with_one_value(caplog):
    ranges = DISTRIBUTIONS | {"schedule": CategoricalDistribution(("constant",))}
    with caplog.at_level(logging.INFO):
        rows, words = importances(search_of(40, by_rate, schedule="constant"), ranges, "action")
    assert rows[0].option == "learning_rate"
    assert {row.option for row in rows} == set(DISTRIBUTIONS)
    assert [row.share for row in rows] == sorted((row.share for row in rows), reverse=True)
    assert rows[0].share > 0.8 and all(0 <= row.share < 0.2 for row in rows[1:])
    assert "of this search's 40 trials alone" in words
    assert Importance.model_validate(rows[0].model_dump() | {"interval": (0, 1), "by_chance": 0.1}) == rows[0], "as earlier records have it"
    assert caplog.text == ""


@pytest.mark.parametrize(("num_trials", "said"), [(0, "Only 0 trials can be compared"), (9, "Only 9 trials can be compared")])
def test_few_trials_and_equal_scores_tell_nothing(num_trials, said):
    rows, words = importances(search_of(num_trials, by_rate), DISTRIBUTIONS, "action")
    assert rows == ()
    assert said in words
    equal = importances(search_of(12, lambda *_: 0.25), DISTRIBUTIONS, "action")
    assert equal == ((), "All 12 trials have the same score, so no option made a difference.")


def test_only_comparable_trials_count():
    trials = search_of(9, by_rate)
    outside = trials[0].values | {"learning_rate": 0.5}
    odd = [
        trial(10, 0.9, values=outside),
        trial(11, values=search_of(10, by_rate)[9].values, failure="out of memory"),
        trial(12, 0.9, values=trials[0].values | {"learning_rate": 0}),  # the logarithm of 0 is no number
    ]
    assert "Only 9 trials" in importances([*trials, *odd], DISTRIBUTIONS, "action")[1]
