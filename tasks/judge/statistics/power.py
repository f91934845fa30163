"""Estimate before training the smallest difference that the deciding clips can show.

Legend: d draws, s source videos.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, stdtrit

from tasks.judge.statistics.uncertainty import TAIL
from tasks.store.records.record import Target
from tasks.wording import count

TARGET_POWER = 0.8
CORRELATION = 0.2
"""Intra-class correlation of the clips of one video. An assumption, because there is no network yet."""
NUM_DRAWS, MIN_DRAWS = 4000, 400
MAX_DRAWN_VIDEOS = 1_000_000
"""Over all draws; bounds time and memory for thousands of videos, down to `MIN_DRAWS` draws."""
NUM_DIFFICULTIES = 200
"""Number of difficulty levels, from the hardest video to the easiest."""
SEED = 0


def detectable_points(num_clips: Sequence[int]) -> int | None:
    """Find the smallest true difference that the gate's interval detects four times out of five.

    Simulates two networks that answer at random; a video is equally hard for both, with an intra-class correlation of 0.2. Their accuracies
    lie symmetrically around one half, where differences are hardest to detect.

    Args:
        num_clips: (s,) clips of each source video of the deciding split.

    Returns:
        whole percentage points; None if no difference is detected that often.
    """
    clips = np.array(num_clips)
    if len(clips) < 2:
        return None
    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, clips) >= TARGET_POWER else (middle, high)
    return high if power(high, clips) >= TARGET_POWER else None


def power(points: float, num_clips: NDArray[np.int64]) -> float:
    """Simulate how often the whole interval of a true difference is above zero.

    The difference is `points` percentage points.
    """
    rng = np.random.default_rng(SEED)
    shape = (min(NUM_DRAWS, max(MIN_DRAWS, MAX_DRAWN_VIDEOS // len(num_clips))), len(num_clips))
    difficulty = rng.integers(NUM_DIFFICULTIES, size=shape)
    ours, theirs = (_shares_right((1 + sign * points / 100) / 2)[difficulty] for sign in (1, -1))
    gained = rng.binomial(num_clips, ours * (1 - theirs))
    # Drawn from the clips that are not gained, with the conditional probability.
    lost = rng.binomial(num_clips - gained, theirs * (1 - ours) / np.maximum(1 - ours * (1 - theirs), 1e-12))
    return float(_shows_gain(gained, lost, num_clips).mean())


def power_in_words(num_clips: Sequence[int], split: str, target: Target) -> str:
    """Describe the smallest detectable difference in a sentence.

    For example `with these 15 val clips of 3 source videos, a difference of 63 points on actions is detected four times out of five`.
    """
    sample = f"with these {count(sum(num_clips), f'{split} clip')} of {count(len(num_clips), 'source video')}"
    points = detectable_points(num_clips)
    if points is None:
        return f"{sample}, no difference between two networks is detected four times out of five; add videos before training for long"
    return f"{sample}, a difference of {points} points on {target}s is detected four times out of five"


def _shares_right(mean: float) -> NDArray[np.float64]:
    """Return a network's accuracy per difficulty level, hardest first.

    They are quantiles of a beta distribution with this mean.
    """
    if mean >= 1 or mean <= 0:
        return np.full(NUM_DIFFICULTIES, mean)
    concentration = (1 - CORRELATION) / CORRELATION
    quantiles = (np.arange(NUM_DIFFICULTIES) + 0.5) / NUM_DIFFICULTIES
    shares: NDArray[np.float64] = betaincinv(mean * concentration, (1 - mean) * concentration, quantiles)
    return shares


def _shows_gain(gained: NDArray[np.int64], lost: NDArray[np.int64], num_clips: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Check per draw (d,) whether the interval of `paired_difference` shows a gain.

    That needs both Student's t over the videos and McNemar's test.
    """
    num_sources, total = len(num_clips), num_clips.sum()
    gains = gained - lost
    mean = gains.sum(axis=1) / total
    error = np.sqrt(((gains - mean[:, None] * num_clips) ** 2).sum(axis=1) * num_sources / (num_sources - 1)) / total
    num_gained, num_lost = gained.sum(axis=1), lost.sum(axis=1)
    by_chance = bdtr(num_lost, num_gained + num_lost, 0.5)
    shown: NDArray[np.bool_] = (mean + stdtrit(num_sources - 1, TAIL) * error > 0) & (by_chance < TAIL)
    return shown
