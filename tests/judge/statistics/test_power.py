import time

import numpy as np
import pytest

from tasks.judge.statistics.power import detectable_points, power, power_in_words


def test_what_few_videos_can_show_is_said_in_one_sentence():
    assert power_in_words([5, 5, 5], "val", "action") == (
        f"with these 15 val clips of 3 source videos, a difference of {detectable_points([5, 5, 5])} points on actions is detected four times out of five"
    )
    assert power_in_words([50], "test", "verb").startswith(
        "with these 50 test clips of 1 source video, no difference between two networks is detected"
    )
    assert "points on verbs is detected" in power_in_words([5, 5, 5], "val", "verb")


def test_the_difference_is_the_least_that_is_seen_four_times_out_of_five():
    clips = np.full(8, 6)
    points = detectable_points(clips.tolist())
    assert power(points - 1, clips) < 0.8 <= power(points, clips)


@pytest.mark.parametrize(("fewer", "more"), [([5] * 3, [5] * 6), ([5] * 6, [5] * 20), ([2] * 6, [10] * 6)])
def test_more_videos_and_more_clips_show_smaller_differences(fewer, more):
    assert detectable_points(fewer) > detectable_points(more)


def test_equal_networks_are_told_apart_in_at_most_one_of_forty():
    assert power(0, np.full(10, 10)) <= 0.025


def test_three_films_of_five_clips_show_thirty_points_one_time_in_ten():
    assert power(30, np.full(3, 5)) == pytest.approx(0.1, abs=0.03)


@pytest.mark.slow
def test_thousands_of_videos_cost_seconds():
    started = time.process_time()
    assert 0 < detectable_points([5] * 1000) < 5
    assert time.process_time() - started < 15
