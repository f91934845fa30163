"""Compare new source videos with the model's dataset by their distances to training clips.

A clip's distance is the cosine distance of its backbone features to the nearest training clip of another source video (Sun, Ming, Zhu and Li 2022,
Out-of-distribution Detection with Deep Nearest Neighbors, arXiv 2204.06507). A source video's score is the mean logarithm of its distances, over as
many clips as the shortest one has: a mean over fewer clips varies more.

Legend: n clips, m training clips, f features, r source videos of the dataset, s new ones.
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
from tasks.store.records.prediction import ReferenceSource
from tasks.store.records.record import SplitName
from tasks.wording import count, csv_table, percent, plain_cell
from tasks.wording import p_value as p_value_in_words

FALSE_ALARMS = 0.05
"""The share of predictions of ordinary videos that may be called unlike. `docs/evidence.md` shows the simulated one."""

FAR = 0.95
"""The quantile of the dataset's clips beyond which a clip lies far from the training clips."""

MIN_SOURCES = 3
"""Fewest source videos of the dataset that show how much ordinary ones vary."""

MIN_DISTANCE = 1e-3
"""Keeps copies of a clip from being infinitely near."""

NUM_PERMUTATIONS, SEED = 9999, 0
MAX_AT_ONCE = 1_000_000
"""Scores that are permuted at once: 8 MB an array."""

COLUMNS = ("source", "videos", "num_clips", "num_far", "mean_distance", "num_nearer_films", "num_films")


@dataclass(frozen=True)
class NewSource:
    """A source video outside the model's dataset, and its clips' distances to training clips.

    `name` has the names of its files.
    """

    source: str
    name: str
    distances: Sequence[float]


@dataclass(frozen=True)
class SourceShift:
    """A new source video, and how many of the dataset lie nearer the training clips."""

    new: NewSource
    num_far: int
    num_nearer: int

    @property
    def num_clips(self) -> int:
        """Return the number of its clips."""
        return len(self.new.distances)


@dataclass(frozen=True)
class Shift:
    """New source videos beside the `num_compared` of the dataset that they are compared with.

    `p_value` is the chance that videos like those of the dataset lie as far from the training clips, None if the verdict is unknown for a
    `reason`.
    """

    verdict: Literal["like", "unlike", "unknown"]
    sources: tuple[SourceShift, ...]
    num_compared: int
    p_value: float | None = None
    reason: str = ""

    @property
    def num_clips(self) -> int:
        """Return the number of clips of the new source videos."""
        return sum(own.num_clips for own in self.sources)

    @property
    def num_far(self) -> int:
        """Return the number of their clips that lie far from the training clips."""
        return sum(own.num_far for own in self.sources)


def distances_between_sources(
    features: Features, sources: Sequence[str], known: Features, known_sources: Sequence[str]
) -> NDArray[np.float64]:
    """Compute cosine distances (n,) from `features` (n, f) to the nearest of `known` (m, f).

    Only clips of other source videos count; infinite without any.
    """
    alike = (directions(features) @ directions(known).T).astype(np.float64)
    alike[np.array(sources)[:, None] == np.array(known_sources)] = -np.inf
    distances: NDArray[np.float64] = np.maximum(1.0 - alike.max(axis=1), 0.0)
    return distances


def reference_sources(
    distances: NDArray[np.float64], sources: Sequence[str], splits: Mapping[str, SplitName]
) -> tuple[ReferenceSource, ...]:
    """Group (n,) distances by source video; leave out infinite ones."""
    names = np.array(sources)
    of_source = {name: (names == name) & np.isfinite(distances) for name in sorted(set(sources))}
    return tuple(
        ReferenceSource(source=name, split=splits[name], distances=tuple(distances[own].tolist()))
        for name, own in of_source.items()
        if own.any()
    )


def shift_of(sources: Sequence[NewSource], reference: Sequence[ReferenceSource]) -> Shift:
    """Test whether new source videos lie further from the training clips than the dataset's.

    The test permutes source videos. If there are too few for that, it is Student's t with the spread of the dataset's.

    Args:
        sources: the new ones, one at least.
        reference: those of the dataset that taught the backbone nothing.
    """
    if len(reference) < MIN_SOURCES:
        few = (
            f"it takes {MIN_SOURCES} source videos that taught the network's backbone nothing, and the model's dataset has {len(reference)}"
        )
        return Shift("unknown", tuple(SourceShift(new, 0, 0) for new in sources), 0, reason=few)
    num_clips = min(len(distances) for distances in (*(own.distances for own in sources), *(own.distances for own in reference)))
    scores, new = (np.array([_score(own.distances, num_clips) for own in group]) for group in (reference, sources))
    clips = np.array([distance for own in reference for distance in own.distances])
    limit = np.quantile(clips, FAR)
    listed = tuple(
        SourceShift(own, int((np.array(own.distances) > limit).sum()), int((scores < score).sum()))
        for own, score in zip(sources, new, strict=True)
    )
    p_value = _p_value(new, scores)
    if p_value <= FALSE_ALARMS:
        return Shift("unlike", listed, len(reference), p_value)
    # Permutations can always tell source videos that lie further than all of the dataset.
    furthest = np.full(len(sources), _score([clips.max()], 1))
    if _has_permutations(new, scores) or _students_p_value(furthest, scores) <= FALSE_ALARMS:
        return Shift("like", listed, len(reference), p_value)
    reason = (
        f"even videos as far as the furthest clip of the {count(len(reference), 'source video')} in the model's dataset could be ordinary"
    )
    return Shift("unknown", listed, len(reference), reason=reason)


def shift_in_words(shift: Shift) -> str:
    """Say in a sentence or two whether the new videos are like the training clips."""
    if not shift.num_compared:
        return f"cannot tell whether it is like the training clips: {shift.reason}."
    far = (
        f"{shift.num_far:,} of {count(shift.num_clips, 'clip')} of {count(len(shift.sources), 'source video')} "
        f"{'lies' if shift.num_far == 1 else 'lie'} further from the training clips than {percent(FAR)} of the clips of the "
        f"{count(shift.num_compared, 'source video')} in the model's dataset"
    )
    if shift.p_value is None:
        return f"cannot tell whether it is like the training clips: {shift.reason}. {far}."
    if shift.verdict == "like":
        return f"no further from the training clips than videos of the model's dataset ({p_value_in_words(shift.p_value)}). {far}."
    return (
        f"unlike the training clips ({p_value_in_words(shift.p_value)}). {far}. Do not trust the names and probabilities here; label some of these clips, "
        "and train again."
    )


def table(shift: Shift) -> bytes:
    """Write a row for each new source video as CSV."""
    rows = (
        (
            own.new.source,
            own.new.name,
            own.num_clips,
            own.num_far,
            round(float(np.mean(own.new.distances)), 6),
            own.num_nearer,
            shift.num_compared,
        )
        for own in shift.sources
    )
    return csv_table(COLUMNS, (dict(zip(COLUMNS, map(plain_cell, row), strict=True)) for row in rows))


def _score(distances: Sequence[float], num_clips: int) -> float:
    # The middles of as many parts: a video's first and last clips are its least typical.
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
    """Check whether there are enough permutations of source videos for a p-value of `FALSE_ALARMS`."""
    return FALSE_ALARMS * comb(len(scores) + len(new), len(new)) >= 1


def _students_p_value(new: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    error = scores.std(ddof=1) * np.sqrt(1 / len(scores) + 1 / len(new))
    return float(stdtr(len(scores) - 1, (scores.mean() - new.mean()) / max(error, np.finfo(np.float64).tiny)))


def _difference(new: NDArray[np.float64], others: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = new.mean(axis=axis) - others.mean(axis=axis)
    return difference
