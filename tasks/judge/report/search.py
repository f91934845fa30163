"""Report a search as a page, a note and a CSV table of all trials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.judge.report.page_charts import curves_chart, history_chart, latency_chart
from tasks.judge.report.run import settings_of
from tasks.judge.report.templating import frame_script, rendered
from tasks.judge.search.results import (
    deciding_top1,
    decisive,
    failed,
    form_recipe,
    num_hours,
    range_of,
    ranked,
    searched,
    spelled,
    values_in_words,
    winner_of,
)
from tasks.options import SearchOptions
from tasks.settings import form_path, in_airflow
from tasks.store.records.search import ScoredTrial, Search
from tasks.wording import count, csv_table, duration, listed, percent, percent_interval, plain_cell, signed

NUM_SHOWN = 30
"""Number of trials that are shown; the others are collapsed."""
NUM_IN_NOTE = 10
SECTIONS = (
    ("trials", "Trials"),
    ("curves", "Curves"),
    ("importance", "What mattered"),
    ("bias", "Luck of the best"),
    ("cost", "Cost"),
    ("settings", "Settings"),
    ("reading", "How to read this"),
)

RANGE_TITLES = tuple(SearchOptions.model_fields[name].title for name in ("search", "ranges"))
"""Titles of the settings that are shown in their own table."""


@dataclass(frozen=True)
class Row:
    """One trial in the table, with the values of the searched options."""

    trial: ScoredTrial
    values: tuple[str, ...]
    top1: float
    interval: tuple[float, float]
    is_winner: bool


@dataclass(frozen=True)
class RoundRow:
    """The trials of one round, and the best of those with a score."""

    number: int
    num_trials: int
    num_failed: int
    num_found: int
    num_epochs: int
    duration: str
    best: Row | None


def retrain_address(run_url: str | None, options: Mapping[str, object]) -> str | None:
    """Return the address of `retrain`'s form, with these options; None without a run.

    The form is in the Airflow of `run_url`, such as `http://…/dags/search/runs/…`.
    """
    return in_airflow(run_url, form_path("retrain", options)) or None


def search_page(search: Search, retrain: Mapping[str, object], form_url: str | None = None) -> str:
    """Render the page as HTML. Names are escaped.

    Args:
        retrain: parameters of a run of retrain with the winner's recipe.
        form_url: where retrain is started, see `retrain_address`; None leaves the link out.
    """
    rows = _rows(search)
    script, script_hash = frame_script()
    charts = [curves_chart(search), history_chart(search), latency_chart(search)]
    return rendered(
        "search.html.j2",
        s=search,
        script=script,
        script_hash=script_hash,
        sections=SECTIONS,
        target=decisive(search),
        others=search.targets[:-1],
        sample=sample(search),
        verdict=verdict(search),
        options=searched(search),
        winner=rows[0],
        top=rows[:NUM_SHOWN],
        rest=rows[NUM_SHOWN:],
        failed=[(trial, values_in_words(trial.values)) for trial in failed(search)],
        rounds=_rounds(search),
        again=[_row(trial, search) for trial in search.bias.seeds if trial.failure is None],
        num_unrepeated=sum(trial.failure is not None for trial in search.bias.seeds),
        form=_row(own, search) if (own := form_recipe(search)) and own.number != search.winner else None,
        charts=[chart for chart in charts if chart],
        has_latency=any(trial.latency_seconds is not None for trial in search.trials),
        duration=duration(3600 * num_hours(search.trials)),
        retrain_json=json.dumps(retrain, indent=2, ensure_ascii=False),
        form_url=form_url,
        ranges={name: range_of(name, search) for name in searched(search)},
        search_settings=[setting for setting in settings_of(search.plan.search) if setting.title not in RANGE_TITLES],
        train_settings=settings_of(search.plan.train),
    )


def search_note(search: Search) -> str:
    """Render the verdict and the best trials as Markdown."""
    rows = _rows(search)
    return rendered(
        "search.md.j2",
        s=search,
        target=decisive(search),
        verdict=verdict(search),
        options=searched(search),
        rows=rows[:NUM_IN_NOTE],
        num_scored=len(rows),
        num_failed=len(failed(search)),
        duration=duration(3600 * num_hours(search.trials)),
    )


def _rows(search: Search) -> list[Row]:
    return [_row(trial, search) for trial in ranked(search)]


def _row(trial: ScoredTrial, search: Search) -> Row:
    values = tuple(spelled(trial.values[name]) if name in trial.values else "" for name in searched(search))
    interval = trial.scores[decisive(search)].interval
    return Row(trial, values, deciding_top1(trial, search), interval, trial.number == search.winner)


def _rounds(search: Search) -> list[RoundRow]:
    rows = _rows(search)
    rounds = []
    for number in sorted({trial.round for trial in search.trials}):
        trials = [trial for trial in search.trials if trial.round == number]
        rounds.append(
            RoundRow(
                number=number,
                num_trials=len(trials),
                num_failed=sum(trial.failure is not None for trial in trials),
                num_found=sum(trial.was_found for trial in trials),
                num_epochs=sum(trial.num_epochs for trial in trials if not trial.was_found),
                duration=duration(3600 * num_hours(trials)),
                best=next((row for row in rows if row.trial.round == number), None),
            )
        )
    return rounds


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
    seeds = [percent(deciding_top1(trial, search)) for trial in bias.seeds if trial.failure is None]
    if seeds:
        parts.append(f"{count(len(seeds), 'training')} of the same recipe with new seeds scored {listed(seeds)}.")
    elif bias.corrected is not None and num_scored > 1:
        parts.append(f"Without the luck of the best, expect about {percent(bias.corrected)}.")
    if score.top1 <= search.majority_top1:
        parts.append(f"That does not beat always predicting the most frequent class ({percent(search.majority_top1)}).")
    if not search.plan.search.folds and num_scored > 1:
        parts.append(
            f"It was chosen among {num_scored} on val, so a decision on val counts them all; folds would keep val for the decision."
        )
    own = form_recipe(search)
    form = f" ({percent(deciding_top1(own, search))})" if own else ""
    gate = "the gate of retrain decides, on test if the dataset has a test split."
    if own is winner:
        parts.append(f"It is the recipe of the form; {gate}")
    elif bias.gain is None or bias.gain_interval is None:
        parts.append(f"Whether it is better than the recipe of the form{form}, {gate}")
    else:
        gain = f"{signed(bias.gain)} points {percent_interval(bias.gain_interval)} over the recipe of the form{form}"
        parts.append(
            f"With new seeds, {gain}: a gain; {gate}"
            if bias.gain_interval[0] > 0
            else f"With new seeds, {gain}: no gain shown, keep your recipe."
        )
    return " ".join(parts)


def table(search: Search) -> bytes:
    """Write a CSV, one row per trial, best first, scores as shares.

    A failed trial has the reason.
    """
    options = searched(search)
    scores = [f"{target}_top1{end}" for target in search.targets for end in ("", "_low", "_high")]
    folds = [f"fold_{number}_top1" for number in range(1, (search.plan.search.folds or 0) + 1)]
    last = ("loss", "epochs", "training_seconds", "latency_seconds", "was_found", "run_keys", "failed_because")
    rows = [_csv_row(trial, folds) for trial in (*ranked(search), *failed(search))]
    cells = ({name: plain_cell(value) for name, value in row.items()} for row in rows)
    return csv_table(("trial", "round", *options, *scores, *folds, *last), cells)


def metrics_of(search: Search) -> dict[str, float]:
    """Collect the numbers of the winner and of the search, to log to MLflow."""
    winner = winner_of(search)
    numbers = {
        "num_trials": len(search.trials),
        "num_failed": len(failed(search)),
        "training_hours": num_hours(search.trials),
        **{f"{target}_top1": winner.scores[target].top1 for target in search.targets},
        "loss": winner.loss,
        "latency_seconds": winner.latency_seconds,
        "optimism": search.bias.optimism,
        "corrected_top1": search.bias.corrected,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _csv_row(trial: ScoredTrial, folds: list[str]) -> dict[str, object]:
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
