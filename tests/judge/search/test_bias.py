"""Scores of simulated trials, whose true scores are known."""

import numpy as np
import pytest
from scipy.special import ndtri

from tasks.judge.search.bias import selection_bias

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
    return ["".join("01"[int(one)] for one in row) for row in answers]


def errors_over_searches(truths, num_searches=150):
    """Mean error of the winner's own score and of the corrected one, and standard error of the means."""
    rng = np.random.default_rng(0)
    own, corrected = [], []
    for _ in range(num_searches):
        answers = simulated(truths, rng)
        winner = int(answers.mean(axis=1).argmax())
        found = selection_bias(written(answers), SOURCES, winner)
        own.append(answers[winner].mean() - truths[winner])
        corrected.append(found.corrected - truths[winner])
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
    found = selection_bias(written(answers), SOURCES, winner=3)
    assert abs(found.optimism) < 0.002
    assert found.best_of_equal > 0.03


def test_the_lead_of_equal_trials_is_that_of_the_best_of_as_many_normal_draws():
    rng = np.random.default_rng(1)
    num_trials, num_sources = 20, 400
    answers = rng.random((num_trials, num_sources)) < 0.5
    found = selection_bias(written(answers), [str(i) for i in range(num_sources)], winner=0)
    expected = rng.standard_normal((20_000, num_trials)).max(axis=1).mean() * np.sqrt(0.25 / num_sources)
    assert found.best_of_equal == pytest.approx(expected, rel=0.1)


def test_trials_that_are_right_on_the_same_clips_have_no_luck_to_win_by():
    answers = np.repeat(simulated([0.4], np.random.default_rng(2)), 10, axis=0)
    found = selection_bias(written(answers), SOURCES, winner=0)
    assert found.optimism == pytest.approx(0, abs=0.002)
    assert found.best_of_equal == pytest.approx(0, abs=0.002)
    assert found.corrected == pytest.approx(answers[0].mean(), abs=0.002)


def test_equal_input_gives_equal_numbers_and_a_single_video_none():
    answers = written(simulated(np.full(5, 0.5), np.random.default_rng(3)))
    assert selection_bias(answers, SOURCES, 2) == selection_bias(answers, SOURCES, 2)
    assert selection_bias(["0110", "1010"], ["a"] * 4, winner=0) is None
