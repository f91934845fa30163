"""Estimate the selection bias of the best of several trials.

Legend: k trials, n clips, s source videos, r resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import sums_by_source

NUM_RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class BiasEstimate:
    """The selection bias of a search's winner.

    The lead of the best of equally good trials, the optimism of the winner's top-1, and its top-1 without that optimism.
    """

    best_of_equal: float
    optimism: float
    corrected: float


def selection_bias(right: Sequence[str], sources: Sequence[str], winner: int) -> BiasEstimate | None:
    """Estimate the selection bias by resampling source videos, with the same videos for all trials.

    Trials are right and wrong on the same clips, so their scores rise and fall together; only what moves them apart lets a lucky one win.
    `best_of_equal` is the mean of the largest deviation of a resampled score from the trial's own score.

    The optimism is what a resample adds to the score of the trial that wins on it (Efron and Gong 1983). The observed scores already differ
    by chance, so a resample around them would keep the lucky winner in front and find seven tenths of the optimism. So they are first
    shrunk towards their mean, until they differ as much as the true scores do: by their variance less the variance of the resamples.

    The corrected score is that of the winner's network on other videos of this kind. Luck of its training seed is another matter.

    Args:
        right: (k,) per trial, one digit per clip in the same order: 1 if the answer is right.
        sources: (n,) the source video of each clip.
        winner: index of the chosen trial.

    Returns:
        None with a single source video, which does not show how far scores vary.
    """
    answers = np.array([[digit == "1" for digit in digits] for digits in right])
    if len(set(sources)) < 2:
        return None
    scores: NDArray[np.float64] = answers.mean(axis=1)
    deviations = _deviations(answers, sources)
    best = (_drawn_together(scores, deviations) + deviations).argmax(axis=1)
    optimism = float(deviations[np.arange(len(best)), best].mean())
    return BiasEstimate(float(deviations.max(axis=1).mean()), optimism, float(scores[winner]) - optimism)


def _deviations(answers: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Resample the videos to see how far each trial's score varies.

    Returns the (r, k) differences of the resampled scores from the trial's own score.
    """
    per_trial = [sums_by_source(row, sources) for row in answers]
    num_clips = per_trial[0][1]
    sums = np.stack([of_trial for of_trial, _ in per_trial], axis=1)
    num_sources = len(num_clips)
    drawn = np.random.default_rng(SEED).multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=NUM_RESAMPLES)
    means = (drawn @ sums) / (drawn @ num_clips)[:, None]
    # A bootstrap of s videos varies too little, by (s - 1) / s.
    spread: NDArray[np.float64] = (means - answers.mean(axis=1)) * np.sqrt(num_sources / (num_sources - 1))
    return spread


def _drawn_together(scores: NDArray[np.float64], deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink (k,) scores towards their mean, to the variance that chance leaves unexplained."""
    if len(scores) < 2 or scores.var() == 0:
        return scores
    variance = scores.var(ddof=1)
    by_chance = deviations.var(axis=1, ddof=1).mean()
    shrunk: NDArray[np.float64] = scores.mean() + np.sqrt(max(0.0, 1 - by_chance / variance)) * (scores - scores.mean())
    return shrunk
