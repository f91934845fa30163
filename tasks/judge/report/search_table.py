"""Sum up a search: verdict, a CSV table of all trials, and metrics."""

from tasks.csv_table import csv_table
from tasks.judge.search.scores import best_first, finalists, num_hours, values_in_words
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, Search, Value
from tasks.wording import count, listed, percent, percent_interval, plain_cell


def decisive(search: Search) -> Target:
    """Return the target whose top-1 decides."""
    return search.targets[-1]


def ranked(search: Search) -> list[ScoredTrial]:
    """Sort the trials with a score, the winner first.

    With successive halving, those of the last rung come before all others.
    """
    final = finalists(search.trials, search.plan.search)
    target = decisive(search)
    return [*best_first(final, target), *best_first([trial for trial in search.trials if trial not in final], target)]


def failed(search: Search) -> list[ScoredTrial]:
    """List the trials without a score, by number."""
    return [trial for trial in search.trials if trial.failure is not None]


def winner_of(search: Search) -> ScoredTrial:
    """Return the trial that won."""
    return next(trial for trial in search.trials if trial.number == search.winner)


def form_recipe(search: Search) -> ScoredTrial | None:
    """Find the trial that has the recipe of the form.

    None if it has no score, or was trained for fewer epochs than the winner could be.
    """
    own = search.plan.train.model_dump(mode="json") | search.plan.cutting._asdict()
    final = finalists(search.trials, search.plan.search)
    return next((one for one in final if one.failure is None and all(value == own[name] for name, value in one.values.items())), None)


def top1_of(trial: ScoredTrial, search: Search) -> float:
    """Return the deciding top-1 of a trial that has a score."""
    return trial.scores[decisive(search)].top1


def spelled(value: Value) -> str:
    """Format a value as in the form's ranges, numbers with three digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def sample(search: Search) -> str:
    """Describe the clips that trials were selected on."""
    clips = f"{count(search.num_clips, 'clip')} of {count(search.num_sources, 'source video')}"
    folds = search.plan.search.folds
    return f"the left-out clips of {folds} folds ({clips})" if folds else f"val ({clips})"


def verdict(search: Search) -> str:
    """Sum up the search as plain text: winner, score, and selection bias."""
    target, winner, bias = decisive(search), winner_of(search), search.bias
    score, num_scored = winner.scores[target], len(ranked(search))
    recipe = values_in_words(winner.values)
    parts = [
        f"On {sample(search)}, trial {winner.number} is {f'the best of {num_scored}' if num_scored > 1 else 'the only one with a result'}: "
        f"{target} top-1 {percent(score.top1)} {percent_interval(score.interval)}, with {recipe}."
    ]
    expected = "" if bias.corrected is None or num_scored == 1 else f"Without the luck of the best, expect {percent(bias.corrected)}"
    seeds = [percent(top1_of(trial, search)) for trial in bias.seeds if trial.failure is None]
    again = f"{count(len(seeds), 'training')} of the same recipe with new seeds scored {listed(seeds)}" if seeds else ""
    if expected or again:
        parts.append(f"{'; '.join(filter(None, (expected, again)))}.")
    if score.top1 <= search.majority_top1:
        parts.append(f"That does not beat always predicting the most frequent class ({percent(search.majority_top1)}).")
    own = form_recipe(search)
    form = f" ({percent(top1_of(own, search))})" if own else ""
    gate = "the gate of retrain decides, on test if the dataset has a test split."
    parts.append(
        f"Whether it is better than the recipe of the form{form}, {gate}" if own is not winner else f"It is the recipe of the form; {gate}"
    )
    return " ".join(parts)


def table(search: Search) -> bytes:
    """Write a CSV with one row per trial, best first.

    Shares are between 0 and 1; a failed trial has only its values and reason.
    """
    options = searched(search)
    scores = [f"{target}_top1{end}" for target in search.targets for end in ("", "_low", "_high")]
    folds = [f"fold_{number}_top1" for number in range(1, search.plan.search.folds + 1)]
    last = ("loss", "epochs", "training_seconds", "latency_seconds", "was_found", "run_keys", "failed_because")
    rows = [_row(trial, folds) for trial in (*ranked(search), *failed(search))]
    cells = ({name: plain_cell(value) for name, value in row.items()} for row in rows)
    return csv_table(("trial", "round", *options, *scores, *folds, *last), cells)


def searched(search: Search) -> tuple[str, ...]:
    """List the searched options, in the order of the form."""
    return tuple(dict.fromkeys(search.plan.search.search))


def range_of(name: str, search: Search) -> str:
    """Return the range of a searched option as the form gave it.

    For example `1e-5..1e-1 log`; empty if it has none.
    """
    lines = [line.partition("=") for line in search.plan.search.ranges]
    return next((text.strip() for option, _, text in reversed(lines) if option.strip() == name), "")


def metrics_of(search: Search) -> dict[str, float]:
    """Collect the numbers of the winner and of the search, to log to MLflow."""
    winner = winner_of(search)
    found = {
        "num_trials": len(search.trials),
        "num_failed": len(failed(search)),
        "training_hours": num_hours(search.trials),
        **{f"{target}_top1": winner.scores[target].top1 for target in search.targets},
        "loss": winner.loss,
        "latency_seconds": winner.latency_seconds,
        "optimism": search.bias.optimism,
        "corrected_top1": search.bias.corrected,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _row(trial: ScoredTrial, folds: list[str]) -> dict[str, object]:
    given: dict[str, object] = {"trial": trial.number, "round": trial.round, **trial.values}
    if trial.failure is not None:
        return given | {"failed_because": trial.failure}
    scores = {
        f"{target}_top1{end}": value
        for target, score in trial.scores.items()
        for end, value in zip(("", "_low", "_high"), (score.top1, *score.interval), strict=True)
    }
    return {
        **given,
        **scores,
        **dict(zip(folds, trial.fold_top1, strict=False)),
        "loss": trial.loss,
        "epochs": trial.num_epochs,
        "training_seconds": trial.seconds,
        "latency_seconds": trial.latency_seconds,
        "was_found": trial.was_found,
        "run_keys": " ".join(trial.run_keys),
    }
