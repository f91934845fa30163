"""Merge the answers on overlapping windows into intervals: when which action happens.

Legend: n windows, m cells, v verbs, o nouns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.predict.probabilities import Distributions
from tasks.predict.smoothing import Seconds, cells


@dataclass(frozen=True)
class Interval:
    """A stretch of a film with one action; `probability` is the action's mean over it."""

    start_seconds: float
    stop_seconds: float
    verb_class: int
    noun_class: int
    probability: float


def intervals(starts: Seconds, stops: Seconds, likely: Distributions) -> tuple[Interval, ...]:
    """Find the intervals of one film.

    The probabilities of verbs and nouns are smoothed over the windows; each cell gets the likeliest action, with the product of
    the probabilities of its verb and noun; cells in a row with the same action are one interval. A part without windows ends an interval.

    Args:
        starts, stops: (n,) the windows in order, in seconds.
        likely: (n, v) and (n, o) their probabilities.
    """
    if not len(starts):
        return ()
    found = cells(starts, stops)
    best = replace(likely, verbs=found.smooth(likely.verbs), nouns=found.smooth(likely.nouns)).best()
    return merged(Interval(*each) for each in zip(*(part.tolist() for part in (found.starts, found.stops, *best)), strict=True))


def merged(parts: Iterable[Interval]) -> tuple[Interval, ...]:
    """Join intervals in order that touch and have the same action; their probability is the mean over time."""
    runs: list[list[Interval]] = []
    for part in parts:
        if runs and _continues(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return tuple(_joined(run) for run in runs)


def reported(found: Iterable[Interval], threshold: float | None) -> tuple[Interval, ...]:
    """Keep the intervals whose probability is the threshold or more; all without a threshold."""
    return tuple(one for one in found if threshold is None or one.probability >= threshold)


def _continues(before: Interval, after: Interval) -> bool:
    return before.stop_seconds == after.start_seconds and (before.verb_class, before.noun_class) == (after.verb_class, after.noun_class)


def _joined(run: Sequence[Interval]) -> Interval:
    lengths = np.array([one.stop_seconds - one.start_seconds for one in run])
    mean = float(np.average([one.probability for one in run], weights=lengths))
    return Interval(run[0].start_seconds, run[-1].stop_seconds, run[0].verb_class, run[0].noun_class, mean)
