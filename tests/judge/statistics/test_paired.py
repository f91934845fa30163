from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, multinomial

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.paired import (
    clips_needed,
    clips_within,
    differences,
    differing,
    exact_difference,
    over_guessing,
    paired_change,
    paired_difference,
    recipe_change,
)
from tasks.judge.statistics.uncertainty import TAIL, resample
from tasks.store.records.record import TARGETS
from tests.simulations.answers import as_answers

# Whether the fine-tuned network is right, whether its opponent is, and the source video.
CLIPS = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcdef")), min_size=1, max_size=40)


def compared(clips, **options):
    ours, theirs, sources = zip(*clips, strict=True)
    options = {"opponent": "champion", "num_resamples": 200} | options
    return paired_difference(as_answers(np.array(ours)), as_answers(np.array(theirs)), sources, **options)


@settings(max_examples=40)
@given(clips=CLIPS)
def test_the_interval_holds_the_difference_and_ignores_the_order_of_clips(clips):
    pair = compared(clips)
    low, high = pair.interval
    assert -1 <= low <= pair.difference <= high <= 1
    assert pair.difference == pytest.approx(np.mean([o for o, _, _ in clips]) - np.mean([t for _, t, _ in clips]))
    assert compared(sorted(clips)) == pair


@settings(max_examples=40)
@given(clips=CLIPS)
def test_swapping_the_networks_turns_the_sign(clips):
    pair, swapped = compared(clips), compared([(t, o, s) for o, t, s in clips])
    assert swapped.difference == -pair.difference
    assert swapped.interval == pytest.approx((-pair.interval[1], -pair.interval[0]), abs=1e-7)
    assert (swapped.num_gained, swapped.num_lost, swapped.mcnemar_p) == (pair.num_lost, pair.num_gained, pair.mcnemar_p)


@settings(max_examples=40)
@given(clips=CLIPS)
def test_intervals_are_nested_as_the_level_falls_and_at_the_usual_one_are_the_usual(clips):
    ours, theirs, sources = (np.array(values) for values in zip(*clips, strict=True))
    usual, *nested = (
        paired_change(ours, theirs, sources, num_resamples=200, **level).interval
        for level in ({}, *({"tail": tail} for tail in (TAIL, 0.01, 0.001, 1e-5, 1e-9)))
    )
    assert nested[0] == usual
    assert all(outer[0] <= inner[0] + 1e-8 and inner[1] <= outer[1] + 1e-8 for inner, outer in pairwise(nested))


def test_below_what_the_resamples_can_show_the_exact_test_decides_and_students_t_widens_the_interval():
    """All of ten films gain, so that every resample shows it: McNemar's p is 0.001 on one side."""
    right, sources = np.ones(10, bool), [str(film) for film in range(10)]
    lows = [paired_change(right, ~right, sources, tail=tail).interval[0] for tail in (0.00098, 0.00097)]
    assert [low > 0 for low in lows] == [True, False]
    gains, clips = np.array([8, 6, 9, 7, 5]), np.full(5, 10)
    lows = [resample(gains, clips, num_resamples=200, tail=tail).interval[0] for tail in (1e-4, 1e-5)]
    assert lows[1] < lows[0] < 0.5, "no film gains less"


@settings(max_examples=40)
@given(clips=CLIPS)
def test_a_difference_is_never_surer_than_mcnemars_test(clips):
    pair = compared(clips)
    if pair.interval[0] > 0 or pair.interval[1] < 0:
        assert pair.mcnemar_p <= 0.05
        assert pair.num_clips_needed is None
    elif pair.difference:
        assert pair.num_clips_needed > len(clips)


def test_networks_that_answer_alike_differ_by_zero_and_one_source_says_nothing_of_another():
    pair = compared([(i % 2 == 0, i % 2 == 0, str(i % 4)) for i in range(40)])
    assert (pair.difference, pair.mcnemar_p, pair.num_clips_needed) == (0, 1, None)
    assert pair.interval[0] == -pair.interval[1] == pytest.approx(-0.0881, abs=1e-4)
    pair = compared([(True, False, "a")] * 50)
    assert (pair.interval, pair.num_sources, pair.num_clips_needed) == ((-1, 1), 1, 200)


def test_clips_of_one_video_do_not_count_as_independent():
    """Ten videos, six of them all gained and one all lost: McNemar, who counts clips, is certain, and the interval is not."""
    gains = np.repeat([1, 1, 1, 1, 1, 1, 0, 0, 0, -1], 10)
    pair = compared([(g > 0, g < 0, str(i // 10)) for i, g in enumerate(gains)])
    alone = compared([(g > 0, g < 0, str(i)) for i, g in enumerate(gains)])
    assert pair.mcnemar_p < 1e-9
    assert pair.interval[0] < 0.1 < 0.3 < alone.interval[0]


@pytest.mark.parametrize(("interval", "needed"), [((-0.25, 0.75), 400), ((0.0, 0.5), 101), ((0.01, 0.5), None), ((-0.5, 0.75), 900)])
def test_clips_needed_by_hand(interval, needed):
    assert clips_needed(0.25, interval, 100) == needed
    assert clips_needed(-0.25, (-interval[1], -interval[0]), 100) == needed


def mcnemar(gained, num_discordant):
    return binomtest(gained, num_discordant).pvalue if num_discordant else 1.0


@pytest.mark.parametrize("num_discordant", [*range(41), *range(41, 200, 6), 200, 1000])
def test_the_exact_interval_excludes_zero_exactly_where_mcnemar_does(num_discordant):
    """With few pairs in all outcomes; with more in those on either side of p = 0.05, which a few thousandths divide."""
    outcomes = range(num_discordant + 1)
    if num_discordant > 12:
        first = next(gained for gained in outcomes[num_discordant // 2 :] if mcnemar(gained, num_discordant) <= 0.05)
        outcomes = (first - 1, first, num_discordant - first, num_discordant - first + 1)
    for gained in outcomes:
        for num_clips in (max(num_discordant, 40), 5 * max(num_discordant, 40)):
            low, high = exact_difference(gained, num_discordant - gained, num_clips)
            assert (low > 0 or high < 0) == (mcnemar(gained, num_discordant) <= 0.05)


@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.1, 0.0), (0.3, 0.1), (0.05, 0.4), (0.6, 0.3), (0.97, 0.0)])
def test_the_exact_interval_covers_95_of_100_by_enumeration(shares):
    """All outcomes of 12 independent pairs, weighed by how likely each is."""
    gain, loss = shares
    covered = 0
    for gained in range(13):
        for lost in range(13 - gained):
            low, high = exact_difference(gained, lost, 12)
            if low <= gain - loss <= high:
                covered += multinomial.pmf([gained, lost, 12 - gained - lost], 12, [gain, loss, 1 - gain - loss])
    assert covered >= 0.95


def test_every_opponent_and_target_is_compared(make_clips, vocabulary):
    ours, champion, baseline = (make_clips(60, skill=skill) for skill in (5, 2, 0))
    rows = differences(ours, {"baseline": baseline, "champion": champion}, vocabulary, num_resamples=100)
    assert [(d.opponent, d.target) for d in rows] == [(o, t) for o in ("baseline", "champion") for t in TARGETS]
    assert all(d.difference > 0 for d in rows)


@pytest.mark.parametrize(("right", "num_gained", "num_lost"), [("put", 0, 0), ("take", 4, 5), ("take wash", 8, 5), ("put take wash", 8, 0)])
def test_guessing_is_right_on_the_most_frequent_class_alone_and_on_the_first_by_name_of_two(right, num_gained, num_lost):
    names = {0: "wash", 1: "take", 2: "put"}
    true = np.array([0] * 4 + [1] * 4 + [2] * 5)
    predicted = np.array([class_id if names[class_id] in right else 9 for class_id in true.tolist()])
    answers = Answers("action", true, predicted[:, None], names)
    change = over_guessing(answers, list("abc" * 4 + "a"), num_resamples=200)
    assert (change.num_gained, change.num_lost) == (num_gained, num_lost)
    tied = over_guessing(Answers("action", true[:8], predicted[:8, None], names), list("abcdabcd"), num_resamples=200)
    assert tied.num_lost == (0 if "take" in right else 4)


def test_other_clips_are_refused(make_clips, vocabulary):
    clips = make_clips(10)
    with pytest.raises(BadInput, match="run `evaluate` again"):
        differences(clips, {"champion": replace(clips, uids=clips.uids[::-1])}, vocabulary)
    right, wrong = as_answers(np.array([True])), Answers("action", np.array([0]), np.array([[0]]), {0: "take bag"})
    for theirs in (wrong, replace(right, target="verb")):
        with pytest.raises(BadInput, match="run `evaluate` again"):
            paired_difference(right, theirs, ["a"], opponent="champion")


def test_figures_are_those_that_the_evidence_was_simulated_with():
    rng = np.random.default_rng(4)
    right, theirs, sources = rng.random(60) < 0.7, rng.random(60) < 0.5, rng.integers(6, size=60)
    difference = compared(list(zip(right.tolist(), theirs.tolist(), map(str, sources), strict=True)))
    assert (difference.num_gained, difference.num_lost, difference.num_clips_needed) == (20, 11, 189)
    assert difference.interval == pytest.approx((-0.1155334, 0.4155334), abs=1e-6)
    assert (difference.mcnemar_p, difference.p_value) == pytest.approx((0.1496128, 0.2558560), abs=1e-6)
    assert exact_difference(7, 2, 20) == pytest.approx((-0.0935339, 0.5416720), abs=1e-6)


def test_clips_with_different_answers_are_listed_those_that_one_gets_right_first():
    names = dict(enumerate(("put", "take", "wash")))
    true, first, second = np.array([0, 0, 0, 0]), np.array([[0], [1], [1], [1]]), np.array([[0], [2], [0], [1]])
    clips = differing(Answers("verb", true, second, names), Answers("verb", true, first, names), "abcd")
    assert [(clip.uid, clip.first, clip.second) for clip in clips] == [("c", "take", "put"), ("b", "take", "wash")]
    assert {clip.label for clip in clips} == {"put"}


@settings(max_examples=20)
@given(num_films=st.integers(2, 12), num_lost=st.integers(0, 3), margin=st.sampled_from((0.02, 0.05, 0.2)))
def test_so_many_clips_show_that_a_network_is_not_worse_by_more_than_a_margin(num_films, num_lost, margin):
    ours, films = np.arange(40) >= num_lost, [str(i % num_films) for i in range(40)]
    change = paired_change(ours, np.ones(40, bool), films, num_resamples=200)
    number = clips_within(change, 40, margin)
    if num_lost / 40 >= margin:
        assert number is None
    elif change.interval[0] < -margin:
        lost = round(num_lost * number / 40)
        assert exact_difference(0, lost, number)[0] >= -margin
        assert number > 40


def test_the_same_answers_need_fewer_clips_for_a_wider_margin_and_one_film_says_nothing_of_the_correlation():
    same = np.ones(30, bool)
    needed = [clips_within(paired_change(same, same, [str(i) for i in range(30)]), 30, margin) for margin in (0.02, 0.05)]
    assert 150 < needed[0] < 200
    assert 60 < needed[1] < 80
    assert clips_within(paired_change(same, same, ["a"] * 30), 30, 0.02) == needed[0]


@pytest.mark.slow
def test_no_number_of_clips_shows_that_a_loss_of_the_margin_itself_is_not_larger():
    lost_11 = paired_change(np.arange(1000) >= 11, np.ones(1000, bool), [str(i % 50) for i in range(1000)], num_resamples=200)
    assert lost_11.difference > -1.1 / 100  # by rounding
    assert clips_within(lost_11, 1000, 1.1 / 100) is None


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
