"""Draws long films in which actions of unlike lengths happen now and then, to show when they are found."""

import numpy as np

from tests.films.film import Film, Interval
from tests.films.samples import ACTIONS

ACTION_SECONDS = (5, 16)
PAUSE_SECONDS = (0.5, 6)
FIRST_SEED = 100
"""Away from the seeds of the sample films."""


def plan_long(*, seed: int = 0, num_videos: int = 3) -> list[Film]:
    """Choose the content of each film: every action once, in random order, with pauses between them."""
    rng, num_actions = np.random.default_rng((seed, FIRST_SEED)), len(ACTIONS)
    films = []
    for n in range(1, num_videos + 1):
        order = rng.permutation(num_actions)
        pauses, lengths = rng.uniform(*PAUSE_SECONDS, num_actions + 1), rng.uniform(*ACTION_SECONDS, num_actions)
        starts = np.cumsum(pauses[:-1] + np.append(0, lengths[:-1]))
        intervals = tuple(
            Interval(round(float(start), 2), round(float(start + length), 2), *ACTIONS[i])
            for start, length, i in zip(starts, lengths, order, strict=True)
        )
        seconds = round(float(intervals[-1].stop_seconds + pauses[-1]))
        films.append(Film(f"long_{n:02d}.mp4", (seed, FIRST_SEED + n), seconds, intervals, True))
    return films
