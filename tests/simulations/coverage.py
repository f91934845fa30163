"""How often the 95 % interval of an accuracy holds the truth, and how wide it is, beside other intervals."""

from collections.abc import Callable, Iterable
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import gammaln
from scipy.stats import binomtest

from tasks.judge.statistics.uncertainty import resample, share_interval
from tests.simulations.answers import chances
from tests.simulations.tables import Table, beta, of_each, per_cent, share, worst_coverage

Interval = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
Cell = tuple[float, float]

NUM_CLIPS = 5
EASY, HARD = 0.95, 0.3
"""Shares of right clips of the two kinds of videos."""
ACCURACIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.8)
CELLS = [(accuracy, correlation) for correlation in CORRELATIONS for accuracy in ACCURACIES]
NUM_ENUMERATED = 5
"""Up to this many videos, every outcome is weighed by its chance, so that the figure is exact."""


def exact(num_right: np.ndarray, num_clips: np.ndarray) -> tuple[float, float]:
    """Of as many independent clips (Clopper and Pearson 1934)."""
    interval = binomtest(int(num_right.sum()), int(num_clips.sum())).proportion_ci()
    return interval.low, interval.high


def bootstrap(num_right: np.ndarray, num_clips: np.ndarray) -> tuple[float, float]:
    """Videos drawn anew, widened by Student's t, and never narrower than `exact`."""
    drawn, alone = resample(num_right, num_clips, num_resamples=400).interval, exact(num_right, num_clips)
    return max(0.0, min(drawn[0], alone[0])), min(1.0, max(drawn[1], alone[1]))


INTERVALS: dict[str, Interval] = {"Retake": share_interval, "bootstrap over videos": bootstrap, "independent clips": exact}


def coverage(
    interval: Interval, num_films: int, cells: Iterable[Cell], *, num_clips: int = NUM_CLIPS, num_draws: int = 1000
) -> dict[Cell, tuple[float, float]]:
    """By accuracy and correlation, the share of outcomes whose interval holds the accuracy, and the mean width."""
    known: dict[tuple[int, ...], tuple[float, float]] = {}
    by_cell = {}
    for accuracy, correlation in cells:
        outcomes = dict(_outcomes(num_films, num_clips, chances(accuracy, correlation, num_clips), num_draws))
        for counts in outcomes.keys() - known.keys():
            known[counts] = interval(np.repeat(np.arange(num_clips + 1), counts), np.full(num_films, num_clips))
        held = sum(chance for counts, chance in outcomes.items() if known[counts][0] - 1e-9 <= accuracy <= known[counts][1] + 1e-9)
        width = sum(chance * (known[counts][1] - known[counts][0]) for counts, chance in outcomes.items())
        by_cell[accuracy, correlation] = (held, width)
    return by_cell


def uneven(interval: Interval, sizes: tuple[int, ...], accuracy: float, correlation: float, num_draws: int) -> float:
    """The coverage where videos have unlike numbers of clips."""
    return drawn_coverage(interval, np.array(sizes), lambda rng: beta(rng, accuracy, correlation, len(sizes)), accuracy, num_draws)


def two_kinds(interval: Interval, num_films: int, clips: int, hard_films: float, num_draws: int) -> float:
    """The coverage where a share of the videos is hard, and clips of a video are alike by nothing else."""
    truth = hard_films * HARD + (1 - hard_films) * EASY

    def shares(rng: np.random.Generator) -> np.ndarray:
        return np.where(rng.random(num_films) < hard_films, HARD, EASY)

    return drawn_coverage(interval, np.full(num_films, clips), shares, truth, num_draws)


def drawn_coverage(
    interval: Interval, num_clips: np.ndarray, shares: Callable[[np.random.Generator], np.ndarray], truth: float, num_draws: int
) -> float:
    """The share of draws whose interval holds the truth, where videos have drawn shares of right clips."""
    rng = np.random.default_rng(0)
    intervals = (interval(rng.binomial(num_clips, shares(rng)), num_clips) for _ in range(num_draws))
    return sum(low <= truth <= high for low, high in intervals) / num_draws


def tables(num_draws: int) -> list[Table]:
    rows = []
    for num_films in (3, 5, 10, 20):
        by_interval = {name: coverage(interval, num_films, CELLS, num_draws=num_draws) for name, interval in INTERVALS.items()}
        for correlation in CORRELATIONS:
            cases = [{name: by_cell[accuracy, correlation] for name, by_cell in by_interval.items()} for accuracy in ACCURACIES]
            rows.append((str(num_films), f"{correlation:g}", *worst_coverage(cases)))
    header = ["videos", "correlation", *of_each(INTERVALS, "coverage", "width")]
    note = (
        f"Videos of {NUM_CLIPS} clips. Coverage is the lowest over true accuracies of {', '.join(map(str, ACCURACIES))}, width the mean over them. "
        f"Up to {NUM_ENUMERATED} videos every outcome is enumerated; beyond, {num_draws:,} are drawn for each accuracy."
    )
    right = []
    for films, clips in ((3, 5), (5, 3), (15, 1), (3, 50), (20, 5)):
        each = np.full(films, clips)
        right.append((f"{films} videos of {clips}", *(f"{100 * interval(each, each)[0]:.0f} %" for interval in INTERVALS.values())))
    unlike = []
    for sizes in ((2, 3, 5, 10, 30), (1, 1, 1, 40), tuple([5] * 9 + [60])):
        for correlation in (0.2, 0.6):
            held = [share(uneven(interval, sizes, 0.7, correlation, num_draws)) for interval in INTERVALS.values()]
            unlike.append((", ".join(map(str, sizes)), f"{correlation:g}", *held))
    kinds = []
    for films in (5, 10, 20):
        for clips in (NUM_CLIPS, 4 * NUM_CLIPS):
            for hard in (0.1, 0.5):
                held = [share(two_kinds(interval, films, clips, hard, num_draws)) for interval in INTERVALS.values()]
                kinds.append((f"{films} of {clips}", per_cent(hard), *held))
    return [
        Table("The interval of an accuracy", note, header, rows),
        Table("Every clip right", "The lower limit; the upper one is 100 %.", ["clips", *INTERVALS], right),
        Table("Videos of unlike sizes", "Coverage at a true accuracy of 0.7.", ["clips of each video", "correlation", *INTERVALS], unlike),
        Table(
            "Videos of two kinds",
            f"Coverage where a network is right on {per_cent(EASY)} of the clips of most videos, and on {per_cent(HARD)} of those of the hard ones; "
            f"{num_draws:,} draws.",
            ["videos of clips", "hard videos", *INTERVALS],
            kinds,
        ),
    ]


def _outcomes(num_films: int, num_clips: int, chance_of: np.ndarray, num_draws: int) -> Iterable[tuple[tuple[int, ...], float]]:
    """How many videos have 0, 1, 2 … right clips, and the chance of that."""
    if num_films <= NUM_ENUMERATED:
        for numbers in combinations_with_replacement(range(num_clips + 1), num_films):
            counts = np.bincount(numbers, minlength=num_clips + 1)
            ways = np.exp(gammaln(num_films + 1) - gammaln(counts + 1).sum())
            yield tuple(counts.tolist()), float(ways * (chance_of**counts).prod())
    else:
        drawn = np.random.default_rng(0).multinomial(num_films, chance_of / chance_of.sum(), size=num_draws)
        for counts, times in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
            yield tuple(counts.tolist()), float(times / num_draws)
