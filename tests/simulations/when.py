"""How often the 95 % interval of a mean average precision holds that of very many videos, and how wide it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from tasks.judge.statistics import detection
from tasks.judge.statistics.detection import Segment, detection_scores
from tasks.judge.statistics.uncertainty import expanded_interval
from tests.simulations.tables import Table, beta, of_each, worst_coverage

Limits = tuple[float, float] | None

NUM_LABELS = 12
NUM_FILMS_OF_TRUTH = 1500
NUM_RESAMPLES = 400
FILMS = (2, 3, 5, 10, 20)
CORRELATIONS = (0.0, 0.4, 0.8)
RIGHT = (0.3, 0.6, 0.9)
INTERVALS = ("Retake", "bootstrap over videos", "one class")
EVEN, UNEVEN = (1.0,) * 4, tuple(1 / n for n in range(1, 13))
"""Frequencies of the classes: four alike, and twelve, the first labelled twelve times as often as the last."""


@dataclass(frozen=True)
class Cell:
    """Videos in which a network finds a share of the labels, more or fewer of them together in a video."""

    right: float
    correlation: float
    frequencies: tuple[float, ...] = EVEN


CELLS = [Cell(right, correlation, classes) for correlation in CORRELATIONS for right in RIGHT for classes in (EVEN, UNEVEN)]


def film(rng: np.random.Generator, name: str, cell: Cell) -> tuple[list[Segment], list[Segment]]:
    """The labelled and the predicted intervals of a video; wrong ones are less sure, and borders are off by a fifth of the length."""
    found_share = beta(rng, cell.right, cell.correlation)
    num_classes = len(cell.frequencies)
    labels = rng.choice(num_classes, NUM_LABELS, p=np.array(cell.frequencies) / sum(cell.frequencies))
    labelled, predicted = [], []
    for i, label in enumerate(labels.tolist()):
        start, length = 20.0 * i, rng.uniform(4, 14)
        labelled.append(Segment(name, start, start + length, label))
        is_right = rng.random() < found_share
        called = label if is_right else int((label + rng.integers(1, num_classes)) % num_classes)
        off = rng.normal(0, 0.2, 2) * length
        if start + off[0] < start + length + off[1]:
            predicted.append(Segment(name, start + off[0], start + length + off[1], called, sure(rng, is_right)))
        if rng.random() > found_share:
            predicted.append(Segment(name, start + length + 1, start + length + 4, int(rng.integers(num_classes)), sure(rng, False)))
    return labelled, predicted


def sure(rng: np.random.Generator, is_right: bool) -> float:
    return float(rng.beta(4, 2) if is_right else rng.beta(2, 3))


def films(rng: np.random.Generator, num_films: int, cell: Cell) -> tuple[list[Segment], list[Segment]]:
    drawn = [film(rng, str(n), cell) for n in range(num_films)]
    return [segment for labelled, _ in drawn for segment in labelled], [segment for _, predicted in drawn for segment in predicted]


@cache
def truth(cell: Cell) -> tuple[float, float]:
    """The mean average precision, and the average precision of the first class, on very many videos."""
    labelled, predicted = films(np.random.default_rng(99), NUM_FILMS_OF_TRUTH, cell)
    scores = detection_scores(predicted, labelled, {str(n): str(n) for n in range(NUM_FILMS_OF_TRUTH)}, num_resamples=0)
    return scores.mean, next(precision.mean for precision in scores.classes if precision.label == 0)


def limits(rng: np.random.Generator, num_films: int, cell: Cell) -> dict[str, Limits]:
    """The intervals of some videos: Retake's, that of resampled videos alone, and Retake's of the first class."""
    labelled, predicted = films(rng, num_films, cell)
    number = {str(n): n for n in range(num_films)}
    labels = sorted({segment.label for segment in labelled})
    matched = [detection._match(label, predicted, labelled, number, num_films) for label in labels]
    means = [float(detection._average_precisions(matches, np.ones((1, num_films), np.int64)).mean()) for matches in matched]
    draws = detection._draw(matched, num_films, NUM_RESAMPLES)
    ours = detection._interval(matched, float(np.mean(means)), num_films, NUM_RESAMPLES)
    resampled = expanded_interval(draws[~np.isnan(draws)], float(np.mean(means)), num_films)
    of_class = detection._interval(matched[:1], means[0], num_films, NUM_RESAMPLES) if labels[0] == 0 else None
    return dict(zip(INTERVALS, (ours, resampled, of_class), strict=True))


def held(num_films: int, cell: Cell, num_draws: int) -> Mapping[str, tuple[float, float, float]]:
    """By interval: the share that hold the truth, of those that are given; their mean width; and the share that is given."""
    rng = np.random.default_rng(1)
    drawn = [limits(rng, num_films, cell) for _ in range(num_draws)]
    true = dict(zip(INTERVALS, (truth(cell)[0], *truth(cell)), strict=True))
    by_interval = {}
    for name, value in true.items():
        given = [interval for interval in (intervals[name] for intervals in drawn) if interval]
        coverage = np.mean([low <= value <= high for low, high in given])
        width = np.mean([min(1.0, high) - max(0.0, low) for low, high in given])
        by_interval[name] = float(coverage), float(width), len(given) / num_draws
    return by_interval


def tables(num_draws: int) -> list[Table]:
    num_draws = max(5, num_draws // 2)
    rows = []
    for num_films in FILMS:
        for correlation in CORRELATIONS:
            cases = [held(num_films, cell, num_draws) for cell in CELLS if cell.correlation == correlation]
            rows.append((str(num_films), f"{correlation:g}", *worst_coverage(cases)))
    header = ["videos", "correlation", *of_each(INTERVALS, "coverage", "width")]
    note = (
        f"Videos of {NUM_LABELS} labelled intervals, of four classes that are alike or twelve that are not, of which a network finds a share of "
        f"{', '.join(map(str, RIGHT))}. The truth is the mean average precision on {NUM_FILMS_OF_TRUTH:,} videos. Coverage is the lowest of these six "
        f"cases, width the mean over them; {num_draws} draws of each. The interval of one class is that of the most frequent, where two videos "
        "or more have it."
    )
    return [Table("The interval of a mean average precision", note, header, rows)]
