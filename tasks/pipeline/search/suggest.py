"""Suggest the trials of a round from all earlier rounds."""

from collections.abc import Sequence

from tasks.errors import NothingToDo
from tasks.judge.search.suggest import Space, history_digest, identity, num_suggested, seed_of, suggest
from tasks.pipeline._results import finish
from tasks.pipeline.search._rounds import Data, require_current, still_valid, trials_before, write_round
from tasks.pipeline.search.contract import SUGGEST, RoundArguments
from tasks.store.objects import Store
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, SearchPlanResult, SuggestResult, Trial
from tasks.store.run_layout import SearchPlan


def run(arguments: RoundArguments, store: Store) -> SuggestResult:
    """Suggest trials, and write them in batches of one task each.

    The same earlier results lead to the same suggestions; other results, such as those of a trial that had failed, to new ones.

    Raises:
        BadConfiguration: the search was planned with options that are gone.
        MissingObject: an earlier round is not finished.
        NothingToDo: the search has fewer rounds, or its space has no further trial.
    """
    place = SearchPlan(arguments.search)
    plan = store.read(place)
    require_current(plan)
    if arguments.round > plan.search.rounds:
        raise NothingToDo(f"the search has {plan.search.rounds} rounds")
    known, target = trials_before(arguments.round, place, store), Data.of(plan, store).target
    inputs = history_digest(known)
    if earlier := still_valid(SUGGEST.address(arguments), inputs, store):
        return earlier
    trials = _new(plan, arguments.round, known, target)
    if not trials:
        raise NothingToDo(
            f"the space has no other trial than the {len(known)} of earlier rounds; widen the ranges, or search further options"
        )
    return finish(store, SUGGEST.address(arguments), write_round(place.round(arguments.round), arguments.round, trials, inputs, store))


def _new(plan: SearchPlanResult, number: int, known: Sequence[ScoredTrial], target: Target) -> list[Trial]:
    """Suggest new recipes; the first trial of the search is the form's recipe."""
    space = Space.of(plan.search, plan.train)
    wanted = num_suggested(plan.search, number, len(known))
    base = space.complete(space.own)
    recipes = [] if known or base is None else [(space.own, base)]
    taken = {identity(options) for _, options in recipes}
    new = suggest(space, plan.search, seed_of(plan.key, number), known, target, wanted)
    recipes += [(values, options) for values, options in new if identity(options) not in taken]
    first = len(known)
    return [Trial(number=first + i, values=values, options=options) for i, (values, options) in enumerate(recipes[:wanted])]
