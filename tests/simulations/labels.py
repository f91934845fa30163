"""How often the interval of what more labels gain holds the truth, on curves that are known."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from tasks.data.split.folds import SHARES
from tasks.judge.statistics.learning_curve import MIN_WRONG, extrapolate, reason_not_to
from tests.simulations.tables import Table, of_each, per_cent

NUM_DRAWS, NUM_TRAIN_CLIPS, NUM_CLIPS = 5, 1000, 5
FILMS = (3, 6, 20)
MIN_TOLD = 0.1
OF_FILM, OF_CLIP, OF_SUBSET = 0.15, 0.35, 0.25
"""Shares of the variance between answers that video and clip explain, and how far subsets of all clips differ, in standard deviations."""


@dataclass(frozen=True)
class Truth:
    """Errors `floor + scale * share ** -exponent`."""

    name: str
    floor: float
    scale: float
    exponent: float

    def top1(self, share: float) -> float:
        return 1 - self.floor - self.scale * share**-self.exponent

    def gain(self, times: float) -> float:
        return self.top1(times) - self.top1(1)


TRUTHS = (
    Truth("no floor", 0.0, 0.3, 0.3),
    Truth("slow, no floor", 0.0, 0.4, 0.15),
    Truth("slow", 0.2, 0.25, 0.1),
    Truth("usual", 0.2, 0.15, 0.5),
    Truth("fast", 0.1, 0.08, 1.0),
    Truth("near the top", 0.0, 0.08, 1.0),
    Truth("nearly flat", 0.3, 0.02, 0.7),
    Truth("flat", 0.4, 0.0, 0.5),
)


def answers(rng: np.random.Generator, truth: Truth, num_films: int, num_clips: int = NUM_CLIPS) -> np.ndarray:
    """(p, d, n) which val clips each training answers correctly.

    Videos and clips are easy or hard for every training. Subsets are better or worse than their size; those of one draw are nested.
    """
    film = np.repeat(rng.normal(0, OF_FILM**0.5, num_films), num_clips)
    ease = film + rng.normal(0, OF_CLIP**0.5, num_films * num_clips)
    right = np.empty((len(SHARES), NUM_DRAWS, len(ease)), bool)
    for draw in range(NUM_DRAWS):
        effect, variance = 0.0, 0.0
        for index, share in reversed(list(enumerate(SHARES))):
            grown = OF_SUBSET**2 * (1 / share - 1)
            effect, variance = effect + rng.normal(0, (grown - variance) ** 0.5), grown
            noise = rng.normal(0, (1 - OF_FILM - OF_CLIP) ** 0.5, len(ease))
            right[index, draw] = ease + noise + effect < ndtri(truth.top1(share)) * (1 + variance) ** 0.5
    return right


def held(truth: Truth, num_films: int, num_draws: int, *, times: int = 2, num_clips: int = NUM_CLIPS) -> tuple[float, float] | None:
    """How often the interval holds the true gain, and its mean width, where a gain is told; None if it seldom is."""
    rng, outcomes = np.random.default_rng(0), []
    sources = [str(film) for film in range(num_films) for _ in range(num_clips)]
    sizes = [round(share * NUM_TRAIN_CLIPS) for share in SHARES]
    for _ in range(num_draws):
        right = answers(rng, truth, num_films, num_clips)
        if reason_not_to(right, sizes, sources):
            continue
        gains = extrapolate(right, sizes, sources, num_resamples=300).gains
        low, high = next(gain.interval for gain in gains if gain.times == times)
        outcomes.append((low - 1e-9 <= truth.gain(times) <= high + 1e-9, high - low))
    return tuple(np.mean(outcomes, axis=0).tolist()) if len(outcomes) >= MIN_TOLD * num_draws else None


def tables(num_draws: int) -> list[Table]:
    rows = []
    for truth in TRUTHS:
        cases = [held(truth, films, num_draws // 2) for films in FILMS]
        figures = [figure for case in cases for figure in ((per_cent(case[0]), f"{100 * case[1]:.0f}") if case else ("", ""))]
        rows.append((truth.name, per_cent(truth.top1(1)), f"{100 * truth.gain(2):+.1f}", *figures))
    return [
        Table(
            "What more labels would gain",
            f"Errors that follow a power law with a floor; val videos of {NUM_CLIPS} clips, {NUM_DRAWS} draws of the training clips, {num_draws // 2} curves each. "
            f"Coverage of the true gain of twice as many clips by its 95 % interval, and the interval's mean width in points. Curves that end with fewer than {MIN_WRONG} wrong val clips are left out, because then no gain is given.",
            ["curve", "top-1", "twice as many", *of_each((f"{films} videos" for films in FILMS), "coverage", "width")],
            rows,
        )
    ]
