"""Render the report of a search: winner, trials, importances and selection bias."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from tasks.judge.report.figures.recipes import recipes_chart
from tasks.judge.report.figures.trials import curves_chart, history_chart, latency_chart
from tasks.judge.report.page import settings_of
from tasks.judge.report.search_table import (
    decisive,
    failed,
    form_recipe,
    range_of,
    ranked,
    sample,
    searched,
    spelled,
    top1_of,
    verdict,
    winner_of,
)
from tasks.judge.report.templating import frame_script, rendered
from tasks.judge.search.scores import num_hours, values_in_words
from tasks.options import SearchOptions
from tasks.settings import in_airflow
from tasks.store.records.search import Cutting, ScoredTrial, Search
from tasks.wording import duration

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
    """One trial in the table; `values` are those of the searched options, as text."""

    trial: ScoredTrial
    values: tuple[str, ...]
    top1: float
    interval: tuple[float, float]
    is_winner: bool


@dataclass(frozen=True)
class RoundRow:
    """The trials of one round, and the best of them.

    `best` is None if none has a score.
    """

    number: int
    num_trials: int
    num_failed: int
    num_found: int
    num_epochs: int
    duration: str
    best: Row | None


def retrain_address(run_url: str | None, options: Mapping[str, object]) -> str | None:
    """Return the address of `retrain`'s form with these options filled in, in the Airflow of a run.

    `run_url` is an address such as `http://…/dags/search/runs/…`; None without a run.
    """
    query = urlencode({"dag": "retrain", "conf": json.dumps(options, sort_keys=True)})
    return in_airflow(run_url, f"/retake/trigger/?{query}") or None


def search_page(search: Search, retrain: Mapping[str, object], form_url: str | None = None) -> str:
    """Render the page as HTML. Names are escaped.

    Args:
        search: all numbers.
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
        recipes=recipes_chart(search),
        duration=duration(3600 * num_hours(search.trials)),
        cutting=[f"{name}={spelled(value)}" for name, value in winner_of(search).values.items() if name in Cutting._fields],
        retrain_json=json.dumps(retrain, indent=2, ensure_ascii=False),
        form_url=form_url,
        ranges={name: range_of(name, search) for name in searched(search)},
        search_settings=[one for one in settings_of(search.plan.search) if one.title not in RANGE_TITLES],
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
    return Row(trial, values, top1_of(trial, search), interval, trial.number == search.winner)


def _rounds(search: Search) -> list[RoundRow]:
    rows = _rows(search)
    found = []
    for number in sorted({trial.round for trial in search.trials}):
        trials = [trial for trial in search.trials if trial.round == number]
        found.append(
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
    return found
