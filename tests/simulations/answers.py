"""Networks that answer at random, clips of one video being alike to a known degree.

A video's share of right clips has a beta distribution; its mean is the network's accuracy, and the intra-class correlation of its clips is that
of the beta-binomial distribution.
"""

import numpy as np
from scipy.special import betaincinv
from scipy.stats import betabinom, binom

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.paired import paired_difference
from tasks.store.records.evaluation import PairedDifference


def chances(accuracy: float, correlation: float, num_clips: int) -> np.ndarray:
    """(num_clips + 1,) how likely each number of right clips of one video is."""
    numbers = np.arange(num_clips + 1)
    if correlation == 0:
        return binom.pmf(numbers, num_clips, accuracy)
    return betabinom.pmf(numbers, num_clips, *(share * (1 - correlation) / correlation for share in (accuracy, 1 - accuracy)))


def film_shares(rng: np.random.Generator, accuracy: float, correlation: float, ease: np.ndarray) -> np.ndarray:
    """Each video's share of right clips, from how easy it is, between 0 and 1."""
    if correlation == 0:
        return np.full_like(ease, accuracy)
    return betaincinv(accuracy * (1 - correlation) / correlation, (1 - accuracy) * (1 - correlation) / correlation, ease)


class Val:
    """Videos of a val split, each easier or harder for every network."""

    def __init__(self, rng: np.random.Generator, num_films: int, num_clips: int, correlation: float) -> None:
        self.rng, self.num_clips, self.correlation = rng, num_clips, correlation
        self.ease = rng.random(num_films)
        self.sources = [str(film) for film in range(num_films) for _ in range(num_clips)]

    def answers(self, accuracy: float, *, own_films: bool = False) -> np.ndarray:
        """(n,) which clips one network names right; with `own_films`, other videos are easy for it than for the others."""
        ease = self.rng.random(len(self.ease)) if own_films else self.ease
        shares = film_shares(self.rng, accuracy, self.correlation, ease)
        return self.rng.random(len(self.sources)) < np.repeat(shares, self.num_clips)

    def difference(self, ours: np.ndarray, theirs: np.ndarray, num_resamples: int = 500) -> PairedDifference:
        return paired_difference(as_answers(ours), as_answers(theirs), self.sources, opponent="champion", num_resamples=num_resamples)


def as_answers(right: np.ndarray) -> Answers:
    """Answers to clips of class 1, right where told."""
    return Answers("action", np.ones(len(right), np.int64), right.astype(np.int64)[:, None], {0: "wrong", 1: "right"})
