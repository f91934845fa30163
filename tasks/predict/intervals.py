"""Merge the predictions on overlapping windows into intervals: when which action happens.

`moments` and `intervals` of `served/package/predict.py` do the same without Retake: a change here is one there, too.

Legend: n windows, m cells, c classes, v verbs, o nouns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.predict.probabilities import Distributions

Seconds = NDArray[np.float64]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.float64]

NUM_DECIMALS = 6
"""Times that are equal to so many decimals are one."""


@dataclass(frozen=True)
class Cells:
    """The parts of a video within which no window begins or ends.

    Attributes:
        starts, stops: (m,) seconds; a part that no window covers is left out.
        first, last: (m,) indices of the windows that cover the cell.
        weights: for each cell the weights of these windows, which sum to 1.
    """

    starts: Seconds
    stops: Seconds
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    weights: tuple[Weights, ...]

    def smooth(self, probabilities: Probabilities) -> Probabilities:
        """Average (n, c) probabilities over the windows of each cell: (m, c)."""
        smoothed = [weights @ probabilities[a : b + 1] for a, b, weights in zip(self.first, self.last, self.weights, strict=True)]
        return np.stack(smoothed) if smoothed else np.empty((0, probabilities.shape[1]))


@dataclass(frozen=True)
class Interval:
    """A stretch of a video with one action; `probability` is the action's mean over it."""

    start_seconds: float
    stop_seconds: float
    verb_class: int
    noun_class: int
    probability: float


def cut_into_cells(starts: Seconds, stops: Seconds) -> Cells:
    """Cut a video at the starts and stops (n,) of its windows, both ascending.

    A window counts in a cell the more, the nearer their middles are: by 1 - distance of the middles / half the window's length, before the
    weights of a cell are made to sum to 1.
    """
    starts, stops = np.round(starts, NUM_DECIMALS), np.round(stops, NUM_DECIMALS)
    edges = np.unique(np.concatenate([starts, stops]))
    begins, ends = edges[:-1], edges[1:]
    first = np.searchsorted(stops, ends, side="left")
    last = np.searchsorted(starts, begins, side="right") - 1
    is_covered = first <= last
    begins, ends, first, last = begins[is_covered], ends[is_covered], first[is_covered], last[is_covered]
    weights = []
    for middle, a, b in zip((begins + ends) / 2, first, last, strict=True):
        middles, halves = (starts[a : b + 1] + stops[a : b + 1]) / 2, (stops[a : b + 1] - starts[a : b + 1]) / 2
        weight = 1 - np.abs(middle - middles) / halves
        weights.append(weight / weight.sum())
    return Cells(begins, ends, first, last, tuple(weights))


def intervals(starts: Seconds, stops: Seconds, likely: Distributions) -> tuple[Interval, ...]:
    """Find the intervals of one video, given its windows (n,) in order and their probabilities.

    The probabilities of verbs and nouns are smoothed over the windows; each cell gets the likeliest action,
    with the product of the probabilities of its verb and noun; cells in a row with the same
    action are one interval. A part without windows ends an interval.
    """
    if not len(starts):
        return ()
    cells = cut_into_cells(starts, stops)
    smoothed = replace(likely, verbs=cells.smooth(likely.verbs), nouns=cells.smooth(likely.nouns))
    columns = (cells.starts, cells.stops, *smoothed.best())
    return joined_by_action(
        Interval(start_seconds=start, stop_seconds=stop, verb_class=verb, noun_class=noun, probability=probability)
        for start, stop, verb, noun, probability in zip(*(column.tolist() for column in columns), strict=True)
    )


def joined_by_action(parts: Iterable[Interval]) -> tuple[Interval, ...]:
    """Join intervals, given in order, that touch and have the same action.

    Probabilities are averaged over time.
    """
    runs: list[list[Interval]] = []
    for part in parts:
        if runs and _continues(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return tuple(_joined(run) for run in runs)


def reported(candidates: Iterable[Interval], threshold: float | None) -> tuple[Interval, ...]:
    """Keep the intervals whose probability is the threshold or more; all without one."""
    return tuple(interval for interval in candidates if threshold is None or interval.probability >= threshold)


def _continues(before: Interval, after: Interval) -> bool:
    # `cut_into_cells` has rounded the times, so those that touch are equal.
    return before.stop_seconds == after.start_seconds and (before.verb_class, before.noun_class) == (after.verb_class, after.noun_class)


def _joined(run: Sequence[Interval]) -> Interval:
    lengths = np.array([interval.stop_seconds - interval.start_seconds for interval in run])
    mean = float(np.average([interval.probability for interval in run], weights=lengths))
    return Interval(run[0].start_seconds, run[-1].stop_seconds, run[0].verb_class, run[0].noun_class, mean)
