"""The limits of docs/evidence.md, on few seeded draws."""

from functools import partial

import numpy as np
import pytest

from tests.simulations import __main__ as program
from tests.simulations import (
    coverage,
    decisions,
    epochs,
    films,
    labels,
    looks,
    probabilities,
    readers,
    seeds,
    shift,
    splits,
    thresholds,
    trainings,
    when,
)
from tests.simulations.__main__ import DOCS, main
from tests.simulations.coverage import CELLS, share_interval
from tests.simulations.decisions import ONE_MORE
from tests.simulations.labels import TRUTHS
from tests.simulations.when import UNEVEN, Cell

pytestmark = pytest.mark.slow

HARDEST = [(0.5, 0.6), (0.5, 0.8), (0.7, 0.8), (0.95, 0.8), (0.95, 0.0)]
SMALL = {
    program: {"NUM_QUICK_DRAWS": 4, "PARTS": [part for part in program.PARTS if part is not decisions]},
    coverage: {"ACCURACIES": (0.6,), "CELLS": [cell for cell in CELLS if cell[0] == 0.6]},
    when: {"FILMS": (3,), "NUM_FILMS_OF_TRUTH": 20, "truth": when.truth.__wrapped__},
    readers: {"FILMS": (3,), "NUM_RESAMPLES": 20},
    looks: {"FILMS": (10,), "NUM_NETWORKS": (1, 2), "SHARES": (0.1,), "DAYS": {"monthly": 30}},
    seeds: {"DESIGNS": ((10, 5),), "SPREADS": (0.0,)},
    labels: {"TRUTHS": TRUTHS[3:4], "FILMS": (3,)},
    trainings: {"DESIGNS": trainings.DESIGNS[:1], "FILMS": (6,), "NUM_FILMS_OF_TRUTH": 20, "NUM_TRAININGS_OF_TRUTH": 1, "NUM_CURVES": 1},
    epochs: {"RATES": epochs.RATES[:1], "NUM_TRIALS": 2, "EPOCHS": 2, "NUM_SEARCHES": 1},
    splits: {"FILMS": (20,), "NUM_NEW_FILMS": 20},
    shift: {"FILMS": (12,), "NUM_FILMS_OF_LENGTHS": 12, "NEW_LENGTHS": (1,)},
    thresholds: {"NUM_VAL_CLIPS": (30,), "NUM_CLIPS_OF_TRUTH": 1000},
}
"""Constants that make the tables small."""


def lowest(coverages):
    return min(held for held, _ in coverages.values())


@pytest.mark.parametrize(("num_films", "num_clips"), [(2, 5), (3, 5), (4, 5), (5, 5), (3, 8)])
def test_an_accuracys_interval_holds_the_truth_whatever_films_are_like(num_films, num_clips):
    assert lowest(coverage.coverage(share_interval, num_films, CELLS, num_clips=num_clips)) >= 0.93


@pytest.mark.parametrize(("num_films", "num_draws"), [(10, 150), pytest.param(20, 1000, marks=pytest.mark.long)])
def test_so_it_does_with_more_films(num_films, num_draws):
    assert lowest(coverage.coverage(share_interval, num_films, HARDEST, num_draws=num_draws)) >= 0.93


def test_other_intervals_do_not_and_it_is_little_wider_than_one_of_them():
    """Over all videos that are alike or not, than the bootstrap that holds the truth as seldom as three times of four."""
    ours, theirs, clips = (coverage.coverage(interval, 3, CELLS) for interval in (share_interval, coverage.bootstrap, coverage.exact))
    assert max(lowest(theirs), lowest(clips)) < 0.8
    assert sum(width for _, width in ours.values()) < 1.15 * sum(width for _, width in theirs.values())


def test_films_of_unlike_sizes_are_no_trap():
    assert coverage.uneven(share_interval, (2, 3, 5, 10, 30), 0.7, 0.4, 100) >= 0.93


def test_films_of_which_few_are_of_another_kind_are_a_trap():
    assert coverage.two_kinds(share_interval, 10, 5, 0.5, 60) >= 0.93
    assert 0.8 <= coverage.two_kinds(share_interval, 20, 20, 0.1, 60) < 0.93


def test_the_rule_of_the_gain_seldom_promotes_an_equal_network():
    promoted = decisions.promoted_by_chance(5, 0.4, 100, own_films=True)
    assert promoted["interval"] <= 0.04
    assert promoted[ONE_MORE] > 0.25


@pytest.mark.parametrize(("accuracy", "least", "most"), [(decisions.MAJORITY, 0, 0.025), (0.7, 0.4, 1)])
def test_a_network_that_is_no_better_than_guessing_seldom_passes_and_a_better_one_often(accuracy, least, most):
    one_more, surely = decisions.promoted_beside_guessing(accuracy, 10, 0.2, 80)
    assert one_more > 0.25
    assert least <= surely <= most


@pytest.mark.parametrize(("num_draws", "most_better"), [(20, 0), pytest.param(100, 0.05, marks=pytest.mark.long)])
def test_few_of_many_equal_networks_are_called_better(num_draws, most_better):
    assert decisions.clearly_better_by_chance(10, num_draws)[1] <= most_better


def test_the_best_of_many_passes_no_more_often_than_one_if_looks_are_counted_and_often_if_not():
    alone, shared, first = looks.winner_passes(10, 10, 100)
    assert max(shared, first) <= 0.03 < 0.05 < alone
    alone, weighted = looks.chosen_on_a_part(0.5, 10, 100)
    assert weighted <= 0.03 < alone


@pytest.mark.parametrize("climbs", [False, True])
def test_a_year_of_decisions_keeps_below_its_total_and_2_5_per_cent_each_does_not(climbs):
    alone, charged = looks.false_years("monthly", 60, climbs=climbs)
    assert charged <= 0.05 < alone


def test_a_network_that_is_much_better_passes_late_too():
    assert looks.seen_at(30, 40, looks.charges(50, 7)[-1], 20) > 0.9
    assert sum(looks.charges(53, 7)) <= 0.1


def test_the_luck_of_a_seed_passes_one_network_and_not_the_mean_with_both_variances():
    alone, videos, both = seeds.passes(40, 20, 0.06, 0.0, 60)
    assert both <= 0.05 < 0.09 < min(alone, videos)
    assert seeds.passes(40, 20, 0.03, 0.1, 20)[2] > 0.8


def test_the_mean_of_three_seeds_keeps_a_strict_level_too():
    assert seeds.passes(40, 20, 0.06, 0.0, 400, level=0.00625, num_seeds=3)[2] <= 0.01


def test_a_class_blocks_by_chance_seldom_and_a_class_that_is_lost_often():
    by_points, blocked = decisions.blocked_by_a_class(0.0, 150)
    assert blocked <= 0.03 < 0.1 < by_points
    assert decisions.blocked_by_a_class(0.0, 60, truly_lost=0.6 - 1e-9)[1] > 0.3


@pytest.mark.parametrize("num_draws", [100, pytest.param(400, marks=pytest.mark.long)])
def test_what_plan_says_is_seen_four_times_out_of_five(num_draws):
    assert 0.7 < decisions.seen(29, 10, 5, num_draws) < 0.9


@pytest.mark.parametrize(
    ("name", "num_draws", "least"),
    [("usual", 40, 1), *(pytest.param(name, 100, 0.92, marks=pytest.mark.long) for name in ("no floor", "usual", "near the top"))],
)
def test_the_gain_from_more_labels_is_in_its_interval(name, num_draws, least):
    truth = next(truth for truth in TRUTHS if truth.name == name)
    assert labels.held(truth, 6, num_draws)[0] >= least


@pytest.mark.long
@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_so_it_is_whatever_the_curve_and_however_many_films(truth, times):
    coverages = [labels.held(truth, films, 100, times=times) for films in (3, 60)]
    assert min(coverage[0] for coverage in coverages if coverage) >= 0.91
    assert coverages[-1] is not None


@pytest.mark.parametrize("num_draws", [20, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("simulated", "of_twenty"),
    [
        (partial(when.held, 3, Cell(0.9, 0.8)), (1, 0.55)),
        (partial(when.held, 3, Cell(0.3, 0.8, UNEVEN)), (1, 0.75)),
        (partial(when.held, 10, Cell(0.9, 0.8, UNEVEN)), (0.95, 0.75)),
        (partial(readers.held, 5, 2, readers.Cell(0.95, 0.3)), (1, 0.35)),
        (partial(readers.held, 3, 10, readers.Cell(0.8, 0.3)), (1, 0.6)),
        (partial(readers.held, 10, 2, readers.Cell(0.95, 0.3)), (1, 0.6)),
    ],
    ids=["3 videos", "3 videos, uneven", "10 videos", "5 videos, read twice", "3 long videos, read twice", "10 videos, read twice"],
)
def test_an_interval_holds_the_truth_where_resampled_films_alone_do_not(simulated, of_twenty, num_draws):
    coverages = simulated(num_draws)
    ours, bootstrapped = (coverages[interval][0] for interval in ("Retake", "bootstrap over videos"))
    assert ours >= 0.93
    assert bootstrapped < 0.8
    assert num_draws != 20 or (ours, bootstrapped) == pytest.approx(of_twenty)


@pytest.mark.long
@pytest.mark.parametrize(("num_films", "right"), [(20, 0.6), (10, 0.6), (5, 0.9)])
def test_so_does_a_mean_average_precisions_where_films_are_alike(num_films, right):
    assert min(when.held(num_films, Cell(right, 0.0, classes), 100)["Retake"][0] for classes in (when.EVEN, UNEVEN)) >= 0.85


@pytest.mark.parametrize(("accuracy", "num_clips", "most_without"), [(0.6, 45, 0.6), (0.6, 100, 0.3), (0.75, 45, 0.3)])
def test_a_threshold_holds_its_precision_on_average_without_refusing_everything(accuracy, num_clips, most_without):
    ours, theirs = (
        thresholds.thresholds_of(rule, accuracy, 0.0, num_clips, 300) for rule in (thresholds.lowest_probability, thresholds.share_on_val)
    )
    assert ours.precision > 0.79
    assert ours.too_low < 0.55 < theirs.too_low + 0.05
    assert ours.none < most_without


def test_the_last_epoch_of_trials_flatters_less_than_the_one_that_is_best_on_the_scored_clips():
    flattery = epochs.flattery(epochs.RATES[1], 0, 12)
    assert flattery[epochs.BEST].trial > flattery[epochs.LAST].trial + 0.5
    assert flattery[epochs.BEST].expected > flattery[epochs.LAST].expected
    assert flattery[epochs.BEST].retrained == -flattery[epochs.BEST].expected


def test_test_is_a_sample_of_films_where_val_flatters_against_new_ones():
    flattery = splits.flattery(30, splits.OPTIONS["default"], 30)
    assert flattery["val"][0] > 4
    assert abs(flattery["test, left out counted wrong"][0]) < 3
    assert flattery["test, left out counted wrong"][1] >= 0.9


def test_an_equal_challenger_passes_too_often_only_where_the_champion_chose_clips_of_val():
    chosen, apart = (splits.passes_on_chosen(20, in_val=in_val, num_draws=60) for in_val in (True, False))
    assert chosen[0] > 2 > abs(apart[0])
    assert apart[1] < chosen[1]


def test_a_threshold_holds_its_precision_for_intervals_where_actions_follow_one_another_and_not_where_nothing_happens():
    alone, half = (films.on_films(0.75, share, 10) for share in (1.0, 0.5))
    assert min(alone.windows, alone.intervals) > 0.7 > half.intervals
    assert half.false_alarms_per_minute > 3


def test_few_ordinary_films_are_called_unlike_and_many_that_lie_far_off():
    rng, rule = np.random.default_rng(0), "published backbone: all videos"
    drawings = [drawn[rule] for _ in range(40) if (drawn := shift.draw(rng, 20))]
    like, far = (np.mean([own[3, off] == "unlike" for own in drawings]) for off in (0.0, 8.0))
    assert like < 0.1
    assert far > 0.4


def test_what_stands_beside_the_calibration_error_is_what_a_calibrated_network_has():
    errors, by_chance = probabilities.calibrated_errors(23, 60)
    assert errors == pytest.approx(by_chance, rel=0.1)


@pytest.mark.parametrize(("constants", "num_tables"), [(SMALL, 21), pytest.param({}, 26, marks=pytest.mark.long)], ids=["few cells", "all"])
def test_every_table_can_be_made_and_is_in_the_docs(capsys, monkeypatch, constants, num_tables):
    for part, values in constants.items():
        for name, value in values.items():
            monkeypatch.setattr(part, name, value)
    assert main(["--quick"]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("### ")]
    assert len(headings) == num_tables
    assert set(headings) <= set(DOCS.read_text(encoding="utf-8").splitlines())
