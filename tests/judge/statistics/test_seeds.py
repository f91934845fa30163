"""A recipe's mean over seeds against one network."""

import numpy as np
import pytest

from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.seeds import recipe_change

SOURCES = [str(number % 12) for number in range(60)]


def right(*num_right):
    """Answers of a network for each number, which is right on so many of 60 clips."""
    return np.array([[number * 7 % 60 < most for number in range(60)] for most in num_right])


def test_one_seed_is_compared_as_any_network_and_seeds_with_the_same_answers_are_known_as_well_as_one():
    ours, theirs = right(40, 40, 40), right(20)[0]
    change, alone = recipe_change(ours, theirs, SOURCES), paired_change(ours[0], theirs, SOURCES)
    assert recipe_change(ours[:1], theirs, SOURCES) == alone
    assert (change.difference, change.interval) == (alone.difference, alone.interval)
    assert (change.num_gained, change.num_lost) == (3 * alone.num_gained, 3 * alone.num_lost)


def test_the_more_the_seeds_differ_the_wider_is_the_interval():
    theirs = right(20)[0]
    like, unlike, varying = (
        recipe_change(right(*ours), theirs, SOURCES, theirs_varies=varies).interval
        for ours, varies in (((40, 40, 40), False), ((30, 40, 50), False), ((30, 40, 50), True))
    )
    assert varying[0] < unlike[0] < like[0] < like[1] < unlike[1] < varying[1]


def test_an_unlucky_mean_shows_no_gain_where_the_registered_network_alone_would():
    """The first seed is right on 12 clips more than the other network, the two others on 2 fewer."""
    ours, theirs = right(32, 18, 18), right(20)[0]
    assert paired_change(ours[0], theirs, SOURCES).interval[0] > 0
    change = recipe_change(ours, theirs, SOURCES)
    assert change.interval[0] < 0 < change.difference
    assert change.p_value > 0.05


def test_a_single_source_video_tells_nothing_and_equal_networks_differ_by_nothing():
    change = recipe_change(right(40, 50), right(20)[0], ["a"] * 60)
    assert (change.interval, change.p_value) == ((-1, 1), 1)
    change = recipe_change(right(20, 20), right(20)[0], SOURCES)
    assert (change.difference, change.mcnemar_p, change.p_value) == (0, 1, 1)
    assert change.interval[0] == pytest.approx(-change.interval[1])
