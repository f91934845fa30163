import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.options import LIGHT, SearchOptions, TrainOptions
from tasks.options.search import RANGES
from tasks.results.search import ScoredTrial, Top1
from tasks.search.space import Space
from tasks.search.suggest import identity, require_searchable, seed_of, suggest

NUMBERS = ["learning_rate", "dropout", "weight_decay"]


def trial(number: int, values: dict, options: TrainOptions, score: float) -> ScoredTrial:
    return ScoredTrial(
        number=number,
        round=1,
        values=values,
        options=options,
        loss=1.0,
        scores={"action": Top1(top1=score, interval=(0, 1))},
        latency_seconds=score,
    )


def search(chosen: SearchOptions, score, num_rounds: int, per_round: int, base: TrainOptions = LIGHT) -> list[ScoredTrial]:
    space, trials = Space.of(chosen, base, 8), []
    for number in range(1, num_rounds + 1):
        found = suggest(space, chosen, seed_of("key", number, chosen.search_seed), trials, "action", per_round)
        trials += [trial(len(trials) + i, values, options, score(options)) for i, (values, options) in enumerate(found)]
    return trials


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "cma-es"])
def test_the_same_results_lead_to_the_same_suggestions_in_every_process(sampler):
    code = f"""
from tests.search.test_suggest import *
found = search(SearchOptions(search_sampler={sampler!r}, search=NUMBERS), lambda options: options.dropout, 3, 5)
print([sorted(one.values.items()) for one in found])
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "dropout" in outputs.pop()


@pytest.mark.slow
@given(sampler=st.sampled_from(["tpe", "random", "grid"]), seed=st.integers(0, 1000), wanted=st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_no_recipe_is_suggested_twice(sampler, seed, wanted):
    chosen = SearchOptions(search_sampler=sampler, search=["schedule", "batch_size", "class_weights"], search_seed=seed)
    trials = search(chosen, lambda options: options.batch_size / 16, 3, wanted)
    assert len({identity(one.values, one.options) for one in trials}) == len(trials) == min(3 * wanted, 16)


def test_a_space_without_further_recipes_ends_the_round():
    assert len(search(SearchOptions(search=["schedule"], search_sampler="tpe"), lambda options: 0.5, 3, 4)) == 2


def test_a_grid_has_each_combination_once():
    chosen = SearchOptions(search_sampler="grid", search=["learning_rate", "schedule"])
    trials = search(chosen, lambda options: 0.5, 2, 8)
    assert len({(one.options.learning_rate, one.options.schedule) for one in trials}) == 10


def test_a_grid_that_does_not_fit_into_memory_is_refused():
    chosen = SearchOptions(search_sampler="grid", search=list(RANGES))
    with pytest.raises(BadConfiguration, match="search fewer options"):
        require_searchable(Space.of(chosen, LIGHT, 8), chosen)


def test_contradicting_values_are_never_suggested():
    chosen = SearchOptions(search=["batch_size", "mixup"], ranges=["batch_size=1, 2", "mixup=0, 0.2, 0.4"])
    assert all(one.options.batch_size > 1 or not one.options.mixup for one in search(chosen, lambda options: 0.5, 2, 4))


@pytest.mark.parametrize(
    ("searched", "reason"), [(["learning_rate", "schedule"], "schedule: lists of values"), (["learning_rate"], "one option alone")]
)
def test_cma_es_refuses_lists_of_values_and_an_option_alone(searched, reason):
    chosen = SearchOptions(search_sampler="cma-es", search=searched)
    with pytest.raises(BadConfiguration, match=reason):
        require_searchable(Space.of(chosen, LIGHT, 8), chosen)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "cma-es"])
def test_every_sampler_searches_ranges_of_numbers(sampler):
    chosen = SearchOptions(search_sampler=sampler, search=NUMBERS)
    require_searchable(Space.of(chosen, LIGHT, 8), chosen)


def test_failed_trials_and_trials_outside_the_ranges_do_not_stop_the_next_round():
    chosen = SearchOptions(search=["learning_rate"], ranges=["learning_rate=1e-4..1e-2 log"])
    space = Space.of(chosen, LIGHT, 8)
    outside = trial(0, {"learning_rate": 0.5}, LIGHT.model_copy(update={"learning_rate": 0.5}), 0.9)
    failed = ScoredTrial(number=1, round=1, values={"learning_rate": 1e-3}, options=LIGHT, failure="the loss was never finite")
    assert len(suggest(space, chosen, 0, [outside, failed], "action", 4)) == 4


def test_two_objectives_are_searched_together():
    chosen = SearchOptions(objectives="accuracy and latency", search=["learning_rate", "num_segments"])
    assert len(search(chosen, lambda options: options.num_segments / 8, 3, 6)) == 18


def _in_best_region(options: TrainOptions) -> bool:
    return abs(math.log10(options.learning_rate) + 3) < 0.4 and options.dropout < 0.2


def _built_in(options: TrainOptions) -> float:
    """A smooth problem: the best rate is 1e-3, and dropout harms; weight decay and schedule do not matter."""
    return math.exp(-((math.log10(options.learning_rate) + 3) ** 2) - 2 * options.dropout**2)


@pytest.mark.slow
def test_tpe_finds_the_best_region_of_a_built_in_problem_more_often_than_random_search():
    """24 trials in 4 rounds, 20 seeds: the best region is 5 % of the space."""
    found = {
        sampler: sum(
            any(
                _in_best_region(one.options)
                for one in search(SearchOptions(search_sampler=sampler, search_seed=seed, search=[*NUMBERS, "schedule"]), _built_in, 4, 6)[
                    12:
                ]
            )
            for seed in range(20)
        )
        for sampler in ("tpe", "random")
    }
    assert found["tpe"] >= 16
    assert found["random"] <= 14
