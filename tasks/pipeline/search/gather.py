"""Gather the trials up to a round, and log each to MLflow."""

from collections.abc import Sequence

from tasks.judge.search.results import best_first, num_hours, values_in_words
from tasks.pipeline._results import finish, log, parse_failures
from tasks.pipeline.search._rounds import Data, require_current, trials_before, trials_of_round
from tasks.pipeline.search.contract import GATHER, GatherArguments
from tasks.settings import MlflowSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import Target
from tasks.store.records.search import GatherResult, ScoredTrial, SearchPlanResult, TrialList
from tasks.store.run_layout import SearchPlan
from tasks.tracking import ChildRun, Tracker, search_run
from tasks.wording import count, duration, percent, percent_interval


def run(arguments: GatherArguments, store: Store) -> GatherResult:
    """Append the trials of the round to those of earlier rounds.

    A failed trial that was trained since replaces its failure.

    Raises:
        BadConfiguration: the search was planned with options that are gone.
        MissingObject: an earlier round is not finished, or this one has no suggestions.
    """
    place = SearchPlan(arguments.search)
    plan = store.read(place)
    require_current(plan)
    reasons = {failure.map_index: failure.reason for failure in parse_failures(arguments.failures)}
    new = trials_of_round(place.round(arguments.round), reasons, store)
    trials = (*trials_before(arguments.round, place, store), *new)
    target = Data.of(plan, store).target
    tracker = Tracker(load(MlflowSettings))
    with search_run(tracker, plan) as run_id:
        tracker.log_children(run_id, {f"trial {trial.number}": _child(trial) for trial in new})
    ranked = best_first(trials, target)
    store.write(place.round(arguments.round).gather.trials, TrialList(trials=trials))
    result = GatherResult(
        round=arguments.round,
        inputs_digest=store.read(place.round(arguments.round).suggest).inputs_digest,
        num_trials=len(trials),
        num_failed=sum(trial.failure is not None for trial in trials),
        best=ranked[0].number if ranked else None,
        progress=_progress(plan, arguments.round, trials, target),
    )
    log.info("%s", result.progress)
    return finish(store, GATHER.address(arguments), result)


def _child(trial: ScoredTrial) -> ChildRun:
    """Describe a trial as a child run, so that MLflow compares options beside scores."""
    metrics = {f"val_{target}_top1": score.top1 for target, score in trial.scores.items()}
    measured = {"val_loss": trial.loss, "latency_seconds": trial.latency_seconds, "seconds": trial.seconds, "epochs": trial.num_epochs}
    tags = {"retake.round": trial.round, "retake.runs": ", ".join(trial.run_keys), "retake.failure": trial.failure}
    return ChildRun(
        params=trial.values,
        metrics=metrics | {name: float(value) for name, value in measured.items() if value is not None},
        tags={name: str(value) for name, value in tags.items() if value not in (None, "")},
        failed=trial.failure is not None,
    )


def _progress(plan: SearchPlanResult, number: int, trials: Sequence[ScoredTrial], target: Target) -> str:
    """Describe the best trial so far, the time spent, and the expected rest."""
    ranked = best_first(trials, target)
    trained = [trial for trial in trials if trial.seconds and not trial.was_found]
    num_left = max(0, plan.search.num_trials - len(trials))
    parts = [f"round {number} of {plan.search.rounds}, {count(len(trials), 'trial')}"]
    if ranked:
        best, score = ranked[0], ranked[0].scores[target]
        parts.append(
            f"best is trial {best.number}: {target} top-1 {percent(score.top1)} {percent_interval(score.interval)} with {values_in_words(best.values)}"
        )
    if trained:
        mean_seconds = 3600 * num_hours(trained) / len(trained)
        left_seconds = mean_seconds * num_left
        parts.append(f"{duration(round(3600 * num_hours(trials)))} of training, about {duration(round(left_seconds))} left")
    return "; ".join(parts)
