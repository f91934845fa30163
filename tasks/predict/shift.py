"""Compare new films with the model's dataset by their distances to training clips.

A clip's distance is the cosine distance of its backbone features to the nearest training clip of another film (Sun, Ming, Zhu and Li 2022,
Out-of-distribution Detection with Deep Nearest Neighbors, arXiv 2204.06507). A film's score is the mean logarithm of its distances, over as
many clips as the shortest film has: a mean over fewer clips varies more.

Legend: n clips, m training clips, f features, r films of the dataset, s new films.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import permutation_test

from tasks.predict.to_label import Features, directions
from tasks.store.records.prediction import ReferenceFilm
from tasks.store.records.record import SplitName
from tasks.wording import count, csv_table, percent, plain_cell
from tasks.wording import p_value as p_value_in_words

FALSE_ALARMS = 0.05
"""The share of predictions of ordinary films that may be called unlike. `docs/evidence.md` shows the simulated one."""

FAR = 0.95
"""The quantile of the dataset's clips beyond which a clip lies far from the training clips."""

MIN_FILMS = 3
"""Fewest films of the dataset that show how much ordinary films vary."""

MIN_DISTANCE = 1e-3
"""Keeps copies of a clip from being infinitely near."""

NUM_PERMUTATIONS, SEED = 9999, 0
MAX_AT_ONCE = 1_000_000
"""Scores that are permuted at once: 8 MB an array."""

COLUMNS = ("source", "videos", "num_clips", "num_far", "mean_distance", "num_nearer_films", "num_films")


@dataclass(frozen=True)
class NewFilm:
    """A source video outside the model's dataset, and its clips' distances to training clips.

    `name` has the names of its files.
    """

    source: str
    name: str
    distances: Sequence[float]


@dataclass(frozen=True)
class FilmShift:
    """A new film, and how many films of the dataset lie nearer the training clips."""

    film: NewFilm
    num_far: int
    num_nearer_films: int

    @property
    def num_clips(self) -> int:
        """Return the number of its clips."""
        return len(self.film.distances)


@dataclass(frozen=True)
class Shift:
    """New films beside the `num_films` films of the dataset that they are compared with.

    `p_value` is the chance that films like those of the dataset lie as far from the training clips, None if the verdict is unknown for a
    `reason`.
    """

    verdict: Literal["like", "unlike", "unknown"]
    films: tuple[FilmShift, ...]
    num_films: int
    p_value: float | None = None
    reason: str = ""

    @property
    def num_clips(self) -> int:
        """Return the number of clips of the new films."""
        return sum(film.num_clips for film in self.films)

    @property
    def num_far(self) -> int:
        """Return the number of their clips that lie far from the training clips."""
        return sum(film.num_far for film in self.films)


def distances_between_films(features: Features, films: Sequence[str], known: Features, known_films: Sequence[str]) -> NDArray[np.float64]:
    """Compute cosine distances (n,) from `features` (n, f) to the nearest of `known` (m, f).

    Only clips of other films count; infinite without any.
    """
    alike = (directions(features) @ directions(known).T).astype(np.float64)
    alike[np.array(films)[:, None] == np.array(known_films)] = -np.inf
    distances: NDArray[np.float64] = np.maximum(1.0 - alike.max(axis=1), 0.0)
    return distances


def reference_films(distances: NDArray[np.float64], films: Sequence[str], splits: Mapping[str, SplitName]) -> tuple[ReferenceFilm, ...]:
    """Group (n,) distances by film; leave out clips without a training clip of another film."""
    names = np.array(films)
    of_film = {name: (names == name) & np.isfinite(distances) for name in sorted(set(films))}
    return tuple(
        ReferenceFilm(source=name, split=splits[name], distances=tuple(distances[own].tolist()))
        for name, own in of_film.items()
        if own.any()
    )


def shift_of(films: Sequence[NewFilm], reference: Sequence[ReferenceFilm]) -> Shift:
    """Test whether new films lie further from the training clips than films of the dataset.

    The test permutes films. If there are too few for that, it is Student's t with the spread of the dataset's films.

    Args:
        films: the new films, one at least.
        reference: films of the dataset that taught the backbone nothing.
    """
    if len(reference) < MIN_FILMS:
        few = f"it takes {MIN_FILMS} films that taught the network's backbone nothing, and the model's dataset has {len(reference)}"
        return Shift("unknown", tuple(FilmShift(film, 0, 0) for film in films), 0, reason=few)
    num_clips = min(len(distances) for distances in (*(film.distances for film in films), *(film.distances for film in reference)))
    scores, new = (np.array([_score(film.distances, num_clips) for film in own]) for own in (reference, films))
    clips = np.array([distance for film in reference for distance in film.distances])
    limit = np.quantile(clips, FAR)
    listed = tuple(
        FilmShift(film, int((np.array(film.distances) > limit).sum()), int((scores < score).sum()))
        for film, score in zip(films, new, strict=True)
    )
    p_value = _p_value(new, scores)
    if p_value <= FALSE_ALARMS:
        return Shift("unlike", listed, len(reference), p_value)
    # Permutations can always tell films that lie further than all of the dataset.
    furthest = np.full(len(films), _score([clips.max()], 1))
    if _has_permutations(new, scores) or _students_p_value(furthest, scores) <= FALSE_ALARMS:
        return Shift("like", listed, len(reference), p_value)
    reason = (
        f"even films that lie as far as the furthest clip of the {count(len(reference), 'film')} in the model's dataset could be ordinary"
    )
    return Shift("unknown", listed, len(reference), reason=reason)


def shift_in_words(shift: Shift) -> str:
    """Say in a sentence or two whether the new films are like the training clips."""
    if not shift.num_films:
        return f"cannot tell whether it is like the training clips: {shift.reason}."
    far = (
        f"{shift.num_far:,} of {count(shift.num_clips, 'clip')} of {count(len(shift.films), 'source video')} "
        f"{'lies' if shift.num_far == 1 else 'lie'} further from the training clips than {percent(FAR)} of the clips of the "
        f"{count(shift.num_films, 'film')} in the model's dataset"
    )
    if shift.p_value is None:
        return f"cannot tell whether it is like the training clips: {shift.reason}. {far}."
    if shift.verdict == "like":
        return f"no further from the training clips than films of the model's dataset ({p_value_in_words(shift.p_value)}). {far}."
    return (
        f"unlike the training clips ({p_value_in_words(shift.p_value)}). {far}. Do not trust the names and probabilities here; label some of these clips, "
        "and train again."
    )


def table(shift: Shift) -> bytes:
    """Write a row for each new film as CSV."""
    rows = (
        (
            own.film.source,
            own.film.name,
            own.num_clips,
            own.num_far,
            round(float(np.mean(own.film.distances)), 6),
            own.num_nearer_films,
            shift.num_films,
        )
        for own in shift.films
    )
    return csv_table(COLUMNS, (dict(zip(COLUMNS, map(plain_cell, row), strict=True)) for row in rows))


def _score(distances: Sequence[float], num_clips: int) -> float:
    # The middles of as many parts: a film's first and last clips are its least typical.
    evenly_spaced = np.array(distances)[(2 * np.arange(num_clips) + 1) * len(distances) // (2 * num_clips)]
    return float(np.log(np.maximum(evenly_spaced, MIN_DISTANCE)).mean())


def _p_value(new: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Compute the one-sided p-value of the mean of `new` (s,) beside `scores` (r,)."""
    if not _has_permutations(new, scores):
        return _students_p_value(new, scores)
    if len(new) == 1:
        return float((scores >= new).sum() + 1) / (len(scores) + 1)
    tested = permutation_test(
        (new, scores),
        _difference,
        vectorized=True,
        n_resamples=NUM_PERMUTATIONS,
        batch=max(1, MAX_AT_ONCE // (len(new) + len(scores))),
        alternative="greater",
        rng=np.random.default_rng(SEED),
    )
    return float(tested.pvalue)


def _has_permutations(new: NDArray[np.float64], scores: NDArray[np.float64]) -> bool:
    """Check whether there are enough permutations of films for a p-value of `FALSE_ALARMS`."""
    return FALSE_ALARMS * comb(len(scores) + len(new), len(new)) >= 1


def _students_p_value(new: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    error = scores.std(ddof=1) * np.sqrt(1 / len(scores) + 1 / len(new))
    return float(stdtr(len(scores) - 1, (scores.mean() - new.mean()) / max(error, np.finfo(np.float64).tiny)))


def _difference(new: NDArray[np.float64], others: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = new.mean(axis=axis) - others.mean(axis=axis)
    return difference
