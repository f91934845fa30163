"""Repeat the winner under new seeds, to show the share of luck in its score."""

from tasks.judge.search.suggest import history_digest
from tasks.pipeline._plans import with_next_seed
from tasks.pipeline._results import finish
from tasks.pipeline.search._rounds import Data, all_trials, ranked_trials, require_current, still_valid, write_round
from tasks.pipeline.search.contract import REPEAT_WINNER, SearchedArguments
from tasks.store.objects import Store
from tasks.store.records.search import SuggestResult, Trial
from tasks.store.run_layout import SearchPlan

NUM_SEEDS = 3
SEEDS_ROUND = 0
"""Number of the round in records; rounds of suggestions count from 1."""


def run(arguments: SearchedArguments, store: Store) -> SuggestResult:
    """Write trials of the winner's recipe with the next three seeds.

    Raises:
        BadConfiguration: the search was planned with options that are gone.
        BadInput: every trial failed.
    """
    place = SearchPlan(arguments.search)
    plan = store.read(place)
    trials = all_trials(plan, store)
    inputs = history_digest(trials)
    if earlier := still_valid(REPEAT_WINNER.address(arguments), inputs, store):
        return earlier
    require_current(plan)
    winner = ranked_trials(trials, Data.of(plan, store).target)[0]
    repeated = [
        Trial(number=len(trials) + i, values=winner.values, options=with_next_seed(winner.options, i + 1)) for i in range(NUM_SEEDS)
    ]
    return finish(store, REPEAT_WINNER.address(arguments), write_round(place.seeds, SEEDS_ROUND, repeated, inputs, store))
