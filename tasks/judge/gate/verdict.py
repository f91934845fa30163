"""Sum up a comparison in one sentence.

Which network is better, by how much, and the majority class's score.
"""

import math

from tasks.judge.statistics.majority import always_predicting, in_quotes
from tasks.store.records.evaluation import EvaluateResult, PairedDifference, TargetMetrics
from tasks.store.records.record import SplitName, Target
from tasks.wording import count, listed, percent, percent_interval, points, roughly


def verdict_on(ours: EvaluateResult, theirs: EvaluateResult, difference: PairedDifference, min_clips: int = 0) -> str:
    """Put the comparison into one sentence that starts with the outcome.

    If the network is no better than always predicting the most frequent action, that is the outcome, whichever network wins.

    Args:
        ours: the fine-tuned network's scores.
        theirs: its opponent's scores on the same clips.
        difference: their difference in top-1 on the last target.
        min_clips: the least number that the gate asks for.
    """
    sample = f"{count(ours.num_clips, f'{ours.split} clip')} of {count(ours.num_sources, 'source video')}"
    return (
        f"{_outcome(ours, difference)}: on {sample} the fine-tuned network classifies {percent(ours.action.top1)} of the {difference.target}s correctly, "
        f"{_against_opponent(theirs, difference, min_clips)}; {_against_majority(ours)}."
    )


def guessing_caveat(ours: EvaluateResult) -> str:
    """List the targets that do not beat the majority class.

    For example `no better than always predicting 'put meat' (34.8 % of actions)`. Empty if all targets do. `ours` are the fine-tuned
    network's scores.
    """
    baselines = [
        f"{in_quotes(metrics.majority_class)} ({percent(metrics.majority_top1)} of {target}s)"
        for target, metrics in _unbeaten_majorities(ours)
    ]
    return f"no better than always predicting {listed(baselines)}" if baselines else ""


def _unbeaten_majorities(ours: EvaluateResult) -> list[tuple[Target, TargetMetrics]]:
    """List the targets that do not beat the majority class, the deciding target first."""
    scored: list[tuple[Target, TargetMetrics]] = [(target, getattr(ours, target)) for target in reversed(ours.targets)]
    return [(target, metrics) for target, metrics in scored if metrics.top1 <= metrics.majority_top1]


def _outcome(ours: EvaluateResult, difference: PairedDifference) -> str:
    low, high = difference.interval
    if ours.action.top1 <= ours.action.majority_top1:
        return "No better than guessing"
    if low > 0:
        return f"Better than the {difference.opponent}"
    if high < 0:
        return f"Worse than the {difference.opponent}"
    return "A tie" if difference.num_gained == difference.num_lost else "Too little data to tell"


def _against_opponent(theirs: EvaluateResult, difference: PairedDifference, min_clips: int) -> str:
    low, high = difference.interval
    interval = f"95 % confidence interval of the difference {percent_interval(difference.interval)}"
    if difference.num_gained == difference.num_lost:
        return f"as many as the {theirs.model} ({interval})"
    more = "more" if difference.difference > 0 else "fewer"
    told = f"{points(difference.difference)} {more} than the {theirs.model} ({percent(theirs.action.top1)}; {interval})"
    return told if low > 0 or high < 0 else f"{told}; {_too_small(difference, theirs.split, min_clips)}"


def _too_small(difference: PairedDifference, split: SplitName, min_clips: int) -> str:
    if difference.num_sources == 1:
        return "one source video is not enough to tell"
    too_small = "the data is too small to tell"
    if difference.num_clips_needed is None:
        return too_small
    num_clips = max(difference.num_clips_needed, min_clips)
    num_sources = math.ceil(num_clips * difference.num_sources / difference.num_clips)
    return f"{too_small}: {roughly(num_clips)} {split} clips of {roughly(num_sources)} source videos would be needed"


def _against_majority(ours: EvaluateResult) -> str:
    action = ours.action
    always = always_predicting(action.majority_class)
    others = [
        f"only {percent(metrics.top1)} of the {target}s correctly, "
        + ("the same as" if metrics.top1 == metrics.majority_top1 else f"against {percent(metrics.majority_top1)} for")
        + f" {always_predicting(metrics.majority_class)}"
        for target, metrics in _unbeaten_majorities(ours)
        if target != ours.targets[-1]
    ]
    if action.top1 <= action.majority_top1:
        told = f"{always} gives {percent(action.majority_top1)}"
    elif action.top1_interval[0] > action.majority_top1:
        told = f"{always} gives less, {percent(action.majority_top1)}"
    else:
        told = f"{always} gives less, {percent(action.majority_top1)}, but the data is too small to be sure of it"
    return f"{told}; the network classifies {listed(others)}" if others else told
