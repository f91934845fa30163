"""How often the 95 % interval of Cohen's kappa holds the truth, and how wide it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.judge.statistics import label_quality
from tasks.judge.statistics.label_quality import agreement
from tests.simulations.tables import Table, beta, of_each, worst_coverage

NUM_RESAMPLES = 300
FILMS = (3, 5, 10, 30)
CLIPS = (2, 10)
CORRELATIONS = (0.0, 0.3)
KAPPAS = (0.4, 0.8, 0.95)
INTERVALS = ("Retake", "bootstrap over videos")
EVEN, UNEVEN = (0.25,) * 4, tuple(1 / n / sum(1 / m for m in range(1, 13)) for n in range(1, 13))
"""Frequencies of the answers: four alike, and twelve, the first given twelve times as often as the last."""


@dataclass(frozen=True)
class Cell:
    """Readers who agree so far beyond chance, in some videos more than in others."""

    kappa: float
    correlation: float
    frequencies: tuple[float, ...] = EVEN


def read(rng: np.random.Generator, num_films: int, cell: Cell, num_clips: int) -> list[tuple[str, str, str]]:
    """Videos of clips that two readers answer: the same with a chance that each video has of its own, else each by frequency.

    The answers of a video are alike to the same degree: the first reader repeats the video's own answer so often.
    """
    agreeing = beta(rng, cell.kappa, cell.correlation, num_films)
    shape = (num_films, num_clips)
    own, first, other = (rng.choice(len(cell.frequencies), size, p=cell.frequencies) for size in ((num_films, 1), shape, shape))
    first = np.where(rng.random(shape) < cell.correlation, own, first)
    second = np.where(rng.random(shape) < agreeing[:, None], first, other)
    return [(str(film), str(first[film, n]), str(second[film, n])) for film in range(num_films) for n in range(num_clips)]


def resampled(pairs: list[tuple[str, str, str]], rng: np.random.Generator) -> tuple[float, float] | None:
    """The percentiles of resampled videos, without those whose kappa cannot be told."""
    videos = sorted({video for video, _, _ in pairs})
    answers = sorted({answer for pair in pairs for answer in pair[1:]})
    first, second = np.zeros((2, len(videos), len(answers)), np.int64)
    agreed, clips = np.zeros((2, len(videos)), np.int64)
    for video, answer, other in pairs:
        at = videos.index(video)
        first[at, answers.index(answer)] += 1
        second[at, answers.index(other)] += 1
        agreed[at] += answer == other
        clips[at] += 1
    times = rng.multinomial(len(videos), np.full(len(videos), 1 / len(videos)), size=NUM_RESAMPLES)
    values = label_quality._kappas(agreed, clips, first, second, times)
    low, high = np.nanquantile(values, (0.025, 0.975)) if not np.isnan(values).all() else (np.nan, np.nan)
    return None if np.isnan(low) else (float(low), float(high))


def held(num_films: int, num_clips: int, cell: Cell, num_draws: int) -> Mapping[str, tuple[float, float]]:
    """By interval: the share that hold the truth, of those that are given, and their mean width."""
    rng = np.random.default_rng(1)
    drawn: dict[str, list[tuple[float, float]]] = {name: [] for name in INTERVALS}
    for _ in range(num_draws):
        pairs = read(rng, num_films, cell, num_clips)
        told = agreement(pairs, NUM_RESAMPLES)
        for name, interval in zip(INTERVALS, (told.interval if told else None, resampled(pairs, rng)), strict=True):
            drawn[name] += [interval] if interval else []
    held_and_widths = {name: [(low <= cell.kappa <= high, high - low) for low, high in limits] for name, limits in drawn.items()}
    return {name: tuple(np.reshape(pairs, (-1, 2)).mean(axis=0).tolist()) for name, pairs in held_and_widths.items()}


def tables(num_draws: int) -> list[Table]:
    num_draws = max(5, num_draws // 2)
    rows = []
    for num_films in FILMS:
        for num_clips in CLIPS:
            for correlation in CORRELATIONS:
                cells = [Cell(kappa, correlation, answers) for kappa in KAPPAS for answers in (EVEN, UNEVEN)]
                cases = [held(num_films, num_clips, cell, num_draws) for cell in cells]
                rows.append((f"{num_films} of {num_clips}", f"{correlation:g}", *worst_coverage(cases)))
    header = ["videos of clips", "correlation", *of_each(INTERVALS, "coverage", "width")]
    note = (
        f"Two readers whose kappa is {', '.join(map(str, KAPPAS))}, with four answers that are alike or twelve that are not. Coverage is the lowest "
        f"of these six cases, width the mean over them; {num_draws} draws of each. Kappa is between -1 and 1."
    )
    return [Table("The interval of two readers' agreement", note, header, rows)]
