"""Smooth the probabilities of overlapping windows over time.

Legend: n windows, m cells, c classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Probabilities = NDArray[np.float64]

NUM_DECIMALS = 6
"""Times that are equal to so many decimals are one."""


@dataclass(frozen=True)
class Cells:
    """The parts of a film between which no window begins or ends.

    Attributes:
        starts, stops: (m,) seconds; a part that no window covers is left out.
        first, last: (m,) the windows that cover each.
        weights: for each cell the weights of these windows, which sum to 1.
    """

    starts: Seconds
    stops: Seconds
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    weights: tuple[Seconds, ...]

    def smooth(self, probabilities: Probabilities) -> Probabilities:
        """Average (n, c) probabilities over the windows of each cell: (m, c)."""
        found = [weights @ probabilities[a : b + 1] for a, b, weights in zip(self.first, self.last, self.weights, strict=True)]
        return np.stack(found) if found else np.empty((0, probabilities.shape[1]))


def cells(starts: Seconds, stops: Seconds) -> Cells:
    """Cut a film at the starts and stops (n,) of its windows, which are in order.

    A window counts in a cell the more, the nearer its middle is to that of the cell: the weight falls linearly to nothing at its ends.
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
