"""Suggest the trials of a round from all earlier rounds."""

from collections.abc import Sequence
from dataclasses import replace

from tasks.errors import NothingToDo
from tasks.judge.search.space import Space
from tasks.judge.search.suggest import history_digest, identity, num_suggested, promote, rung_epochs, seed_of, suggest
from tasks.judge.search.trials import num_hours
from tasks.pipeline._step import finish
from tasks.pipeline.search._rounds import Data, still_valid, trials_before, write_round
from tasks.pipeline.search.contract import SUGGEST, RoundArguments
from tasks.store.experiments import SearchPlan
from tasks.store.objects import Store
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, SearchPlanResult, SuggestResult, Trial


def run(arguments: RoundArguments, store: Store) -> SuggestResult:
    """Suggest trials, and write them in batches of one task each.

    The same earlier results lead to the same suggestions; other results, such as those of a trial that had failed, to new ones.

    Raises:
        MissingObject: an earlier round is not finished.
        NothingToDo: the search has fewer rounds, its time budget is spent, or its space has no further trial.
    """
    place = SearchPlan(arguments.search)
    plan = store.read(place)
    if arguments.round > plan.search.rounds:
        raise NothingToDo(f"the search has {plan.search.rounds} rounds")
    known, target = trials_before(arguments.round, place, store), Data.of(plan, store).target
    inputs = history_digest(known)
    if earlier := still_valid(SUGGEST.address(arguments), inputs, store):
        return earlier
    goes_on = plan.search.halving and arguments.round > 1
    trials = (_promoted if goes_on else _new)(plan, arguments.round, known, target)
    if not trials:
        raise NothingToDo(_why_none(plan, arguments.round, known))
    return finish(store, SUGGEST.address(arguments), write_round(place.round(arguments.round), arguments.round, trials, inputs, store))


def _new(plan: SearchPlanResult, number: int, known: Sequence[ScoredTrial], target: Target) -> list[Trial]:
    """Suggest new recipes; the first trial of the search is the form's recipe."""
    space = Space.of(plan.search, plan.train, plan.cutting)
    if plan.search.halving:
        space = replace(space, base=plan.train.model_copy(update={"epochs": rung_epochs(plan.search, plan.train.epochs, 1)}))
    wanted = plan.search.num_trials if plan.search.halving else num_suggested(plan.search, number, known)
    base = space.complete(space.own)
    recipes = [] if known or base is None else [(space.own, base)]
    taken = {identity(*recipe) for recipe in recipes}
    new = suggest(space, plan.search, seed_of(plan.key, number, plan.search.search_seed), known, target, wanted)
    recipes += [recipe for recipe in new if identity(*recipe) not in taken]
    first = len(known)
    return [Trial(number=first + i, values=values, options=options) for i, (values, options) in enumerate(recipes[:wanted])]


def _promoted(plan: SearchPlanResult, number: int, known: Sequence[ScoredTrial], target: Target) -> list[Trial]:
    """Promote the best trials of the last rung, unless the time budget is spent."""
    if plan.search.budget_hours and num_hours(known) >= plan.search.budget_hours:
        return []
    rung = [trial for trial in known if trial.round == number - 1]
    kept = promote(plan.search, plan.train.epochs, number, rung, target)
    first = len(known)
    return [
        Trial(number=first + i, values=trial.values, options=options, resumes=trial.run_keys) for i, (trial, options) in enumerate(kept)
    ]


def _why_none(plan: SearchPlanResult, number: int, known: Sequence[ScoredTrial]) -> str:
    hours = num_hours(known)
    is_spent = hours >= plan.search.budget_hours if plan.search.halving else num_suggested(plan.search, number, known) == 0
    if plan.search.budget_hours and is_spent:
        return f"the time budget of {plan.search.budget_hours:g} h leaves no time for another trial after {hours:.2f} h"
    if plan.search.halving and number > 1:
        return "every trial of the last rung failed"
    return f"the space has no other trial than the {len(known)} of earlier rounds; widen the ranges, or search further options"
