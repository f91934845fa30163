"""The one sentence of a comparison: who is better, by how much, whether guessing does as well, and whether the data is enough to tell."""

import math

from tasks.results.evaluation import EvaluateResult, PairedDifference, TargetMetrics
from tasks.results.record import Target
from tasks.wording import count, listed, percent, percent_interval, points, quoted, roughly


def verdict_on(ours: EvaluateResult, theirs: EvaluateResult, difference: PairedDifference) -> str:
    """Put the comparison into one sentence, whose first words are the outcome.

    Where the network does no better than always guessing the commonest action, the sentence opens with that, whoever wins.

    Args:
        ours: the fine-tuned network's scores.
        theirs: those of the network that it must beat, on the same clips.
        difference: of top-1 between the two, on the last of the targets.
    """
    sample = f"{count(ours.num_clips, f'{ours.split} clip')} of {count(ours.num_sources, 'source video')}"
    return (
        f"{_outcome(ours, difference)}: on {sample} the fine-tuned network names {percent(ours.action.top1)} of the {difference.target}s right, "
        f"{_beside_opponent(theirs, difference)}; {_beside_guessing(ours)}."
    )


def guessing_caveat(ours: EvaluateResult) -> str:
    """`no better than always guessing 'put meat' (34.8 % of actions)`, with every target of which this holds; empty where it holds of none.

    Args:
        ours: the fine-tuned network's scores.
    """
    guesses = [
        f"{quoted(metrics.majority_class)} ({percent(metrics.majority_top1)} of {target}s)" for target, metrics in _guessed_as_well(ours)
    ]
    return f"no better than always guessing {listed(guesses)}" if guesses else ""


def _guessed_as_well(ours: EvaluateResult) -> list[tuple[Target, TargetMetrics]]:
    """The target that decides first."""
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


def _beside_opponent(theirs: EvaluateResult, difference: PairedDifference) -> str:
    low, high = difference.interval
    interval = f"95 % interval of the difference {percent_interval(difference.interval)}"
    if difference.num_gained == difference.num_lost:
        return f"as many as the {theirs.model} ({interval})"
    more = "more" if difference.difference > 0 else "fewer"
    told = f"{points(difference.difference)} {more} than the {theirs.model} ({percent(theirs.action.top1)}; {interval})"
    return told if low > 0 or high < 0 else f"{told}; {_too_small(difference)}"


def _too_small(difference: PairedDifference) -> str:
    if difference.num_sources == 1:
        return "one source video cannot tell the two apart, several are needed"
    too_small = "the data is too small to tell the two apart"
    if difference.num_clips_needed is None:
        return too_small
    num_sources = math.ceil(difference.num_clips_needed * difference.num_sources / difference.num_clips)
    return f"{too_small}, {roughly(difference.num_clips_needed)} clips of {roughly(num_sources)} source videos would be needed"


def _beside_guessing(ours: EvaluateResult) -> str:
    action = ours.action
    always = f"always guessing {quoted(action.majority_class)}"
    others = [
        f"{percent(metrics.top1)} of the {target}s, as always guessing {quoted(metrics.majority_class)} does"
        if metrics.top1 == metrics.majority_top1
        else f"only {percent(metrics.top1)} of the {target}s, where always guessing {quoted(metrics.majority_class)} gives "
        f"{percent(metrics.majority_top1)}"
        for target, metrics in _guessed_as_well(ours)
        if target != ours.targets[-1]
    ]
    if action.top1 <= action.majority_top1:
        told = f"{always} gives {percent(action.majority_top1)}"
        return f"{told}; it names {listed(others)}" if others else told
    surely = "" if action.top1_interval[0] > action.majority_top1 else ", though not surely,"
    told = f"that is more{surely} than {always} ({percent(action.majority_top1)})"
    return f"{told}, but it names {listed(others)}" if others else told
