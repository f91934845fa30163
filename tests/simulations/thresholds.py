"""How precise the clips at or above the threshold of predictions are on very many clips, where a precision was chosen on few of val."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from tasks.predict.probabilities import MIN_CLIPS, lowest_probability
from tests.simulations.tables import Table, of_each, per_cent

Rule = Callable[[np.ndarray, np.ndarray, float], float | None]

PRECISION = 0.8
NUM_CLIPS = 5
NUM_VAL_CLIPS = (15, 30, 45, 100, 300)
CORRELATIONS = (0.0, 0.3)
NETWORKS = {0.6: (3, 2), 0.75: (6, 2)}
"""Calibrated networks by their accuracy: the beta distribution of their probabilities."""
NUM_CLIPS_OF_TRUTH = 200_000


@dataclass(frozen=True)
class Thresholds:
    """How often a rule gives no threshold; the mean precision of its thresholds, how often it is too low, and how many clips are kept."""

    none: float
    precision: float
    too_low: float
    kept: float


def share_on_val(likely: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """The lowest threshold at which the share on val reaches the precision."""
    order = np.argsort(-likely)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    fitting = np.flatnonzero((shares >= precision) & (np.arange(len(order)) + 1 >= MIN_CLIPS))
    return float(likely[order][fitting[-1]]) if len(fitting) else None


def val(rng: np.random.Generator, accuracy: float, correlation: float, num_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, each true, and which clips are right; videos have more or fewer right clips together."""
    likely = rng.beta(*NETWORKS[accuracy], num_clips)
    film = np.repeat(rng.standard_normal(-(-num_clips // NUM_CLIPS)), NUM_CLIPS)[:num_clips]
    luck = correlation**0.5 * film + (1 - correlation) ** 0.5 * rng.standard_normal(num_clips)
    return likely, ndtr(luck) < likely


def thresholds_of(rule: Rule, accuracy: float, correlation: float, num_clips: int, num_draws: int) -> Thresholds:
    """Draw val splits so often, and judge a rule's thresholds on them."""
    rng = np.random.default_rng(1)
    true = np.sort(rng.beta(*NETWORKS[accuracy], NUM_CLIPS_OF_TRUTH))[::-1]
    precisions = np.cumsum(true) / np.arange(1, len(true) + 1)
    thresholds = [rule(*val(rng, accuracy, correlation, num_clips), PRECISION) for _ in range(num_draws)]
    numbers = np.searchsorted(-true, [-threshold for threshold in thresholds if threshold is not None], side="right")
    reached = precisions[numbers - 1]
    precision, too_low = (reached.mean(), (reached < PRECISION).mean()) if len(numbers) else (np.nan, np.nan)
    return Thresholds(1 - len(numbers) / num_draws, float(precision), float(too_low), float(numbers.sum() / num_draws / len(true)))


def tables(num_draws: int) -> list[Table]:
    rules = {"Retake": lowest_probability, "share on val": share_on_val}
    rows = []
    for accuracy in NETWORKS:
        for num_clips in NUM_VAL_CLIPS:
            for correlation in CORRELATIONS:
                by_rule = [thresholds_of(rule, accuracy, correlation, num_clips, 5 * num_draws) for rule in rules.values()]
                figures = [per_cent(share) for of_rule in by_rule for share in vars(of_rule).values()]
                rows.append((per_cent(accuracy), str(num_clips), f"{correlation:g}", *figures))
    header = ["top-1", "val clips", "correlation", *of_each(rules, "no threshold", "precision", "too low", "clips kept")]
    note = (
        f"Calibrated networks, of which a precision of {per_cent(PRECISION)} is asked; videos of {NUM_CLIPS} val clips, {5 * num_draws} draws. The precision is "
        "the mean on very many clips, where there is a threshold; it is too low where it is below what was asked."
    )
    return [Table("The threshold of predictions", note, header, rows)]
