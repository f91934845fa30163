"""Prepare the first screen of a page: verdict, scores per target and differences between networks."""

import math
from dataclasses import dataclass
from typing import Literal

from tasks.judge.statistics.majority import always_predicting, majority_scores
from tasks.next_steps import Facts, Rare
from tasks.settings import PREDICT_PATH, in_airflow, label_url
from tasks.store.records.dataset import NOTHING
from tasks.store.records.evaluation import EvaluateResult, PairedDifference, TargetMetrics
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import MODELS, ModelRole, Target
from tasks.wording import count, percent, roughly

MIN_SOURCES = 3
"""Source videos of a class, one for each split."""


@dataclass(frozen=True)
class ScoreRow:
    """One row of a score table; the majority class has no interval and no warning."""

    label: str
    is_challenger: bool
    is_majority: bool
    top1: float
    interval: tuple[float, float] | None
    top5: float
    recall_macro: float
    precision_macro: float
    precision_weighted: float
    warning: str


@dataclass(frozen=True)
class DifferenceRow:
    """The fine-tuned network minus one opponent, with a remark unless the difference is significant."""

    label: str
    found: PairedDifference
    excludes_zero: bool
    remark: str


@dataclass(frozen=True)
class TargetTable:
    """All scores on one target."""

    target: Target
    num_classes: int
    majority_top1: float
    rows: tuple[ScoreRow, ...]
    differences: tuple[DifferenceRow, ...]


@dataclass(frozen=True)
class Verdict:
    """The banner of a page.

    `kind` sets colour and symbol; one warning per target on which the network does not beat the majority class.
    """

    kind: Literal["passes", "kept", "unknown"]
    word: str
    then: str
    warnings: tuple[str, ...]


def deciding_results(metrics: Metrics) -> tuple[EvaluateResult, ...]:
    """Select the scores on the deciding split; some may be missing.

    In the order of `MODELS`.
    """
    of_role = {result.model: result for result in metrics.results if result.split == metrics.deciding_split}
    return tuple(of_role[role] for role in MODELS if role in of_role)


def opponent_of(metrics: Metrics) -> ModelRole:
    """Name the network that the fine-tuned one must beat."""
    return "baseline" if metrics.champion_version is None else "champion"


def label_of(role: ModelRole, metrics: Metrics) -> str:
    """Name a network in tables: `champion (version 3)`, `version 2 (previous)`."""
    if role == "previous":
        return f"version {metrics.previous_version} (previous)"
    if role == "champion" and metrics.champion_version is not None:
        return f"champion (version {metrics.champion_version}{', provisional' if metrics.champion_is_provisional else ''})"
    return "baseline (untrained heads)" if role == "baseline" and metrics.baseline_is_chance else role


def target_tables(metrics: Metrics) -> tuple[TargetTable, ...]:
    """Build one table per target for the deciding split.

    Empty if nothing was scored on it.
    """
    results = deciding_results(metrics)
    return tuple(_table(target, results, metrics) for target in metrics.targets) if results else ()


def verdict_of(metrics: Metrics) -> Verdict:
    """Build the banner.

    A failed gate is `unknown` if there are too few clips or source videos. It is also `unknown` if the interval of the deciding difference
    includes zero, unless the network does not even beat the majority class.
    """
    challenger = next((result for result in deciding_results(metrics) if result.model == "fine-tuned"), None)
    scores = [(target, getattr(challenger, target)) for target in metrics.targets] if challenger else []
    warnings = tuple(f"{target}s: {percent(m.top1)} is {majority_warning(m)}" for target, m in scores if m.top1 <= m.majority_top1)
    if metrics.passed:
        then = {
            "auto": "All rules passed: it is promoted, unless the champion changed in the meantime.",
            "approve": "All rules passed: a person decides in Airflow.",
            "never": "All rules passed: it is registered but not promoted (promotion=never).",
        }[metrics.gate.promotion]
        return Verdict("passes", "Passed", then, warnings)
    opponent = opponent_of(metrics)
    decisive = next((d for d in metrics.differences if d.target == metrics.targets[-1] and d.opponent == opponent), None)
    too_few = any(rule.rule in ("num_clips", "num_sources") and not rule.passed for rule in metrics.rules)
    then = _without_passing(metrics)
    majority_wins = challenger is not None and challenger.action.top1 <= challenger.action.majority_top1
    if too_few or (decisive is not None and not excludes_zero(decisive) and not majority_wins):
        return Verdict("unknown", "Inconclusive", then, warnings)
    return Verdict("kept", "Failed", then, warnings)


def cautions(metrics: Metrics) -> tuple[tuple[str, str], ...]:
    """List why the scores of the deciding split may be too optimistic.

    Each reason comes with its section on the page.
    """
    split, checks = metrics.deciding_split, metrics.checks
    num_sources = next((result.num_sources for result in deciding_results(metrics) if result.model == "fine-tuned"), None)
    num_alike = sum(pair.split == split for pair in checks.near_duplicates)
    found = (
        (len(checks.shared_sources), "source video", "in two splits", "shared-sources"),
        (num_alike, f"{split} clip", "like a clip of another split", "near-duplicates"),
        (
            num_sources if num_sources is not None and num_sources < metrics.gate.min_gate_sources else 0,
            "source video",
            f"of {split} alone",
            "gate",
        ),
    )
    return tuple((f"{count(number, noun)} {words}", anchor) for number, noun, words, anchor in found if number)


def _without_passing(metrics: Metrics) -> str:
    if metrics.provisional:
        outcome = {
            "auto": "it becomes the provisional one, unless another became champion in the meantime",
            "approve": "a person decides in Airflow whether it becomes the provisional one",
        }[metrics.gate.promotion]
        return f"No other network is champion: {outcome}."
    if metrics.champion_is_provisional:
        return "Not promoted: the champion stays. It is provisional: it has not passed the rules either, and only a network that passes replaces it."
    return "Not promoted: " + ("there is still no champion." if metrics.champion_version is None else "the champion stays.")


def facts_of(metrics: Metrics, *, has_champion: bool = False) -> Facts:
    """Collect the facts that tell what to do next."""
    counts: dict[str, Rare] = {}
    for label in metrics.label_counts:
        if label.target == metrics.targets[-1] and label.name != NOTHING:
            before = counts.get(label.name, Rare(label.name, 0, 0))
            num_sources = before.num_sources + (label.num_sources or MIN_SOURCES)
            counts[label.name] = Rare(label.name, before.num_clips + label.num_clips, num_sources)
    becomes_champion = (metrics.passed or metrics.provisional) and metrics.gate.promotion == "auto"
    compared = ("fine-tuned", opponent_of(metrics))
    top1 = [getattr(result, metrics.targets[-1]).top1 for result in deciding_results(metrics) if result.model in compared]
    few = (one for one in counts.values() if one.num_clips < metrics.gate.min_class_clips or one.num_sources < MIN_SOURCES)
    return Facts(
        model_name="" if metrics.provenance.train.label_noise else metrics.model_name,
        has_champion=has_champion or metrics.champion_version is not None or becomes_champion,
        num_unlabelled=metrics.num_unlabelled,
        missing=tuple(
            f"{rule.title.lower()} ({rule.detail}{_labels_needed(metrics) if rule.rule == 'num_clips' else ''})"
            for rule in metrics.rules
            if not rule.passed
        ),
        faultless_split=metrics.deciding_split if all(score == 1 for score in top1) and len(top1) > 1 else "",
        rare=tuple(sorted(few, key=lambda one: (one.num_clips, one.num_sources, one.name))),
        label_url=label_url(metrics.provenance.airflow_run, uri=metrics.provenance.dataset_uri),
        predict_url=in_airflow(metrics.provenance.airflow_run, PREDICT_PATH),
    )


def _labels_needed(metrics: Metrics) -> str:
    """Word an estimate of the labelled clips that the gate needs.

    With so many, the deciding split has as many as the gate asks for. Empty if it has none with an action.
    """
    num_clips = {size.split: size.num_clips for size in metrics.splits}
    num_deciding = sum(size.num_clips - size.num_nothing for size in metrics.splits if size.split == metrics.deciding_split)
    if not num_deciding:
        return ""
    needed = math.ceil(metrics.gate.min_gate_clips * sum(num_clips.values()) / num_deciding)
    return f": {roughly(needed)} labelled clips, or a larger {metrics.deciding_split}_share"


def majority_warning(metrics: TargetMetrics) -> str:
    """Return the warning for a network that does not beat the majority class.

    Empty if it does.
    """
    if metrics.top1 > metrics.majority_top1:
        return ""
    how = "below" if metrics.top1 < metrics.majority_top1 else "no better than"
    return f"{how} {always_predicting(metrics.majority_class)} ({percent(metrics.majority_top1)})"


def excludes_zero(difference: PairedDifference) -> bool:
    """Check whether the interval lies on one side of zero."""
    low, high = difference.interval
    return low > 0 or high < 0


def _table(target: Target, results: tuple[EvaluateResult, ...], metrics: Metrics) -> TargetTable:
    scored: list[tuple[ModelRole, TargetMetrics]] = [(result.model, getattr(result, target)) for result in results]
    one = scored[-1][1]
    return TargetTable(
        target=target,
        num_classes=one.num_classes,
        majority_top1=one.majority_top1,
        rows=(*(_model_row(role, m, metrics) for role, m in scored), _majority_row(one)),
        differences=tuple(difference_row(d) for d in metrics.differences if d.target == target),
    )


def _model_row(role: ModelRole, scores: TargetMetrics, metrics: Metrics) -> ScoreRow:
    return ScoreRow(
        label=label_of(role, metrics),
        is_challenger=role == "fine-tuned",
        is_majority=False,
        top1=scores.top1,
        interval=scores.top1_interval,
        top5=scores.top5,
        recall_macro=scores.recall_macro,
        precision_macro=scores.precision_macro,
        precision_weighted=scores.precision_weighted,
        warning=majority_warning(scores),
    )


def _majority_row(scores: TargetMetrics) -> ScoreRow:
    majority = majority_scores(scores)
    return ScoreRow(
        label=always_predicting(scores.majority_class),
        is_challenger=False,
        is_majority=True,
        top1=majority.top1,
        interval=None,
        top5=majority.top5,
        recall_macro=majority.recall_macro,
        precision_macro=majority.precision_macro,
        precision_weighted=majority.precision_weighted,
        warning="",
    )


def difference_row(found: PairedDifference) -> DifferenceRow:
    """Build the row of one difference, with a remark if its interval includes zero."""
    clear = excludes_zero(found)
    if clear:
        remark = ""
    elif found.num_sources == 1:
        remark = "one source video is not enough to tell"
    elif found.num_clips_needed is not None:
        remark = f"too small to tell; {roughly(found.num_clips_needed)} clips would be needed"
    else:
        remark = "no difference" if found.difference == 0 else "too small to tell"
    return DifferenceRow(f"{found.opponent} → fine-tuned", found, clear, remark)
