"""Draw shares of the training clips for a learning curve, whole source videos first."""

import math
from collections.abc import Sequence

import numpy as np

SHARES = (0.1, 0.2, 0.5, 1.0)


def subset_sizes(num_clips: int, shares: Sequence[float] = SHARES) -> list[int]:
    """Count the clips of each share, rounded, at least one; equal counts are listed once."""
    return sorted({max(1, math.floor(share * num_clips + 0.5)) for share in shares})


def random_orders(sources: Sequence[str], num_draws: int, seed: int) -> list[list[int]]:
    """Draw orders of the clips in which the clips of a source video follow one another.

    The first n clips of an order are a subset of n clips: whole source videos, of which only the last may be cut. So the subsets of one order
    are nested. Videos, and the clips within a video, are in random order; with a single video, subsets are random clips of it.

    Args:
        sources: (n,) the source video of each clip.
        num_draws: number of orders.
        seed: of the draws.

    Returns:
        lists of n indices of clips.
    """
    clips_of: dict[str, list[int]] = {}
    for index, source in enumerate(sources):
        clips_of.setdefault(source, []).append(index)
    names = sorted(clips_of)
    orders = []
    for draw in range(num_draws):
        rng = np.random.default_rng([seed, draw])
        drawn = [rng.permutation(clips_of[names[number]]) for number in rng.permutation(len(names))]
        orders.append([int(clip) for clips in drawn for clip in clips])
    return orders
