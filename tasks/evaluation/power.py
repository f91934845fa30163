"""How large a difference the clips that decide can show, told before anything is trained.

Legend: d draws, s source videos.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, stdtrit

from tasks.evaluation.uncertainty import TAIL
from tasks.results.record import Target
from tasks.wording import count

WANTED_POWER = 0.8
CORRELATION = 0.2
"""Of the clips of one video, under either network: assumed, for there is no network yet."""
NUM_DRAWS, LEAST_DRAWS = 4000, 400
MAX_DRAWN_VIDEOS = 1_000_000
"""In all draws together, so that thousands of videos cost seconds and little memory; fewer than `LEAST_DRAWS` would tell too little."""
NUM_EASES = 200
"""How many videos there are, from the hardest to the easiest, of which each draw has some."""
SEED = 0


def detectable_points(num_clips: Sequence[int]) -> int | None:
    """The least true difference, in whole percentage points, that the gate's interval shows four times out of five; None if it shows none.

    Two networks answer at random, each video being easier or harder for both of them, with an intra-class correlation of 0.2. One names as many
    clips more than half right as the other names fewer, where differences are hardest to see.

    Args:
        num_clips: (s,) clips of each source video of the split that decides.
    """
    clips = np.array(num_clips)
    if len(clips) < 2:
        return None
    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, clips) >= WANTED_POWER else (middle, high)
    return high if power(high, clips) >= WANTED_POWER else None


def power(points: float, num_clips: NDArray[np.int64]) -> float:
    """How often a true difference of `points` percentage points puts the whole interval above zero, in seeded draws."""
    rng = np.random.default_rng(SEED)
    shape = (min(NUM_DRAWS, max(LEAST_DRAWS, MAX_DRAWN_VIDEOS // len(num_clips))), len(num_clips))
    ease = rng.integers(NUM_EASES, size=shape)
    ours, theirs = (_shares_right((1 + sign * points / 100) / 2)[ease] for sign in (1, -1))
    gained = rng.binomial(num_clips, ours * (1 - theirs))
    # Of the clips that are not gained, in proportion.
    lost = rng.binomial(num_clips - gained, theirs * (1 - ours) / np.maximum(1 - ours * (1 - theirs), 1e-12))
    return float(_shows_gain(gained, lost, num_clips).mean())


def power_in_words(num_clips: Sequence[int], split: str, target: Target) -> str:
    """`with these 15 val clips of 3 source videos, a difference of 63 points on actions is detected four times out of five`."""
    sample = f"with these {count(sum(num_clips), f'{split} clip')} of {count(len(num_clips), 'source video')}"
    points = detectable_points(num_clips)
    if points is None:
        return f"{sample}, no difference between two networks is detected four times out of five; add videos before training for long"
    return f"{sample}, a difference of {points} points on {target}s is detected four times out of five"


def _shares_right(mean: float) -> NDArray[np.float64]:
    """How often a network of this mean names a video's clips right, from the hardest video to the easiest: quantiles of a beta distribution."""
    if mean >= 1 or mean <= 0:
        return np.full(NUM_EASES, mean)
    concentration = (1 - CORRELATION) / CORRELATION
    shares: NDArray[np.float64] = betaincinv(mean * concentration, (1 - mean) * concentration, (np.arange(NUM_EASES) + 0.5) / NUM_EASES)
    return shares


def _shows_gain(gained: NDArray[np.int64], lost: NDArray[np.int64], num_clips: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(d,) whether Student's t over the videos and McNemar's test both find a gain, as the interval of `paired_difference` asks."""
    num_sources, total = len(num_clips), num_clips.sum()
    gains = gained - lost
    mean = gains.sum(axis=1) / total
    error = np.sqrt(((gains - mean[:, None] * num_clips) ** 2).sum(axis=1) * num_sources / (num_sources - 1)) / total
    num_gained, num_lost = gained.sum(axis=1), lost.sum(axis=1)
    by_chance = bdtr(num_lost, num_gained + num_lost, 0.5)
    shown: NDArray[np.bool_] = (mean + stdtrit(num_sources - 1, TAIL) * error > 0) & (by_chance < TAIL)
    return shown
