"""Draws long films in which actions of unlike lengths happen now and then, to show when they are found."""

from pathlib import Path

import numpy as np

from tests.films.film import Film, Interval, make_films
from tests.films.samples import ACTIONS, INTERVALS_FILE, write_intervals

ACTION_SECONDS = (5, 16)
PAUSE_SECONDS = (0.5, 6)
FIRST_SEED = 100
"""Away from the seeds of the sample films."""


def plan_long(*, seed: int = 0, num_videos: int = 3, num_actions: int = 12) -> list[Film]:
    """Choose the content of each film: so many actions in random order, each as often as the others, with pauses between them."""
    rng = np.random.default_rng((seed, FIRST_SEED))
    films = []
    for n in range(1, num_videos + 1):
        order = np.concatenate([rng.permutation(len(ACTIONS)) for _ in range(-(-num_actions // len(ACTIONS)))])[:num_actions]
        pauses, lengths = rng.uniform(*PAUSE_SECONDS, num_actions + 1), rng.uniform(*ACTION_SECONDS, num_actions)
        starts = np.cumsum(pauses[:-1] + np.append(0, lengths[:-1]))
        intervals = tuple(
            Interval(round(float(start), 2), round(float(start + length), 2), *ACTIONS[i])
            for start, length, i in zip(starts, lengths, order, strict=True)
        )
        films.append(
            Film(f"long_{n:02d}.mp4", (seed, FIRST_SEED + n), round(float(intervals[-1].stop_seconds + pauses[-1])), intervals, True)
        )
    return films


def make_long(folder: Path, *, ffmpeg: Path | str, seed: int = 0, num_videos: int = 3, num_actions: int = 12) -> None:
    """Fill `folder` with long films as of `samples.make_samples`, and `intervals.csv` of their labels beside them."""
    films = plan_long(seed=seed, num_videos=num_videos, num_actions=num_actions)
    make_films(films, ffmpeg, folder)
    write_intervals(films, folder / INTERVALS_FILE)
