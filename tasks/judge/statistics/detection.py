"""Measure when actions are found: mean average precision at temporal intersection over union (tIoU).

The protocol is that of EPIC-KITCHENS' detection challenge (Damen et al., arXiv 2006.13256) with ActivityNet's evaluation code: for each
class, intervals of all videos are taken by falling score. One is right if it overlaps a labelled interval of its class, which no other has
taken before, by the tIoU or more; it takes the one that it overlaps most. So a second one on the same label is wrong. The average precision
is the area under the precision, where it is raised to the highest one at a higher recall; its mean is over the classes with labels. Equal
scores are one step of precision and recall, so that the order of videos changes nothing.

Legend: n intervals of a class, m different scores, h tIoUs, s source videos, r resamples.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import expanded_interval, interval_around, resampled_counts

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
MIDDLE = len(TIOUS) // 2
MIN_SOURCES = 2
"""A single source video with labels does not show how much others differ from it."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Segment:
    """A labelled or predicted interval of a video, with its class."""

    video: str
    start_seconds: float
    stop_seconds: float
    label: int
    score: float = 1.0


@dataclass(frozen=True)
class ClassPrecision:
    """The average precision of one class, (h,) by tIoU, with the interval of their mean."""

    label: int
    num_labelled: int
    by_tiou: tuple[float, ...]
    interval: tuple[float, float] | None

    @property
    def mean(self) -> float:
        """Average over tIoUs."""
        return float(np.mean(self.by_tiou))


@dataclass(frozen=True)
class DetectionScores:
    """The mean average precision, (h,) by tIoU, and its mean over them.

    The mean has a 95 % interval over source videos, None if fewer than `MIN_SOURCES` have labels. `classes`
    are those with labels, the most frequent first.
    """

    by_tiou: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    classes: tuple[ClassPrecision, ...]


@dataclass(frozen=True)
class _Matched:
    """The predicted intervals of one class, by falling score.

    Attributes:
        right: (h, n) whether each is right at each tIoU.
        sources: (n,) number of its source video.
        steps: (m,) the last index of each score.
        num_labelled: (s,) labelled intervals of each source video.
    """

    label: int
    right: Bools
    sources: NDArray[np.int64]
    steps: NDArray[np.int64]
    num_labelled: NDArray[np.int64]


def detection_scores(
    predicted: Sequence[Segment], labelled: Sequence[Segment], sources: Mapping[str, str], *, num_resamples: int
) -> DetectionScores:
    """Score predicted intervals against labelled ones.

    Args:
        predicted: with scores, of the same videos.
        labelled: at least one.
        sources: the source video of each video.
        num_resamples: draws of source videos for the interval; with 0 there is none.
    """
    names = sorted({sources[segment.video] for segment in (*predicted, *labelled)})
    number = {video: names.index(source) for video, source in sources.items() if source in names}
    counts = Counter(segment.label for segment in labelled)
    order = sorted(counts, key=lambda label: (-counts[label], label))
    matched = [_match(label, predicted, labelled, number, len(names)) for label in order]
    once = np.ones((1, len(names)), np.int64)
    each = np.stack([_average_precisions(matches, once)[:, 0] for matches in matched])

    def interval(of: Sequence[_Matched], mean: np.float64) -> tuple[float, float] | None:
        return _interval(of, float(mean), len(names), num_resamples)

    classes = tuple(
        ClassPrecision(matches.label, counts[matches.label], tuple(own.tolist()), interval([matches], own.mean()))
        for matches, own in zip(matched, each, strict=True)
    )
    by_tiou = each.mean(axis=0)
    return DetectionScores(tuple(by_tiou.tolist()), float(by_tiou.mean()), interval(matched, by_tiou.mean()), classes)


def always_guessing(labelled: Sequence[Segment], clips_of: Mapping[str, Sequence[tuple[float, float]]]) -> tuple[Segment, ...]:
    """Guess the most frequent class for each clip, or each video, whichever scores higher.

    Args:
        labelled: at least one.
        clips_of: the clips of each video, in order.
    """
    counts = Counter(segment.label for segment in labelled)
    label = min(counts, key=lambda label: (-counts[label], label))
    clips = tuple(Segment(video, start, stop, label) for video, own in clips_of.items() for start, stop in own)
    whole = tuple(Segment(video, own[0][0], own[-1][1], label) for video, own in clips_of.items() if own)
    alone = {video: video for video in clips_of}
    return max((clips, whole), key=lambda guesses: detection_scores(guesses, labelled, alone, num_resamples=0).mean)


def unmasked(
    predicted: Sequence[Segment], labelled: Sequence[Segment], covered: Mapping[str, Sequence[tuple[float, float]]]
) -> list[Segment]:
    """Leave out intervals that lie mostly where nobody labelled.

    An interval stays if at least half of it is `covered`, or if its tIoU with a label of its class is `TIOUS[0]` or more. `covered` has the labelled parts of each video, which do not overlap.
    """
    of_class: dict[tuple[str, int], list[Segment]] = {}
    for segment in labelled:
        of_class.setdefault((segment.video, segment.label), []).append(segment)

    def is_counted(own: Segment) -> bool:
        parts = (min(own.stop_seconds, stop) - max(own.start_seconds, start) for start, stop in covered.get(own.video, ()))
        is_covered = 2 * sum(part for part in parts if part > 0) >= own.stop_seconds - own.start_seconds
        return is_covered or any(overlap_ratio(own, other) >= TIOUS[0] for other in of_class.get((own.video, own.label), ()))

    return list(filter(is_counted, predicted))


def overlap_ratio(segment: Segment, other: Segment) -> float:
    """Compute the tIoU of two intervals of a video."""
    shared = min(segment.stop_seconds, other.stop_seconds) - max(segment.start_seconds, other.start_seconds)
    lengths = segment.stop_seconds - segment.start_seconds + other.stop_seconds - other.start_seconds
    return max(0.0, shared) / (lengths - shared) if shared > 0 else 0.0


def _match(label: int, predicted: Sequence[Segment], labelled: Sequence[Segment], number: Mapping[str, int], num_sources: int) -> _Matched:
    own = sorted(
        (interval for interval in predicted if interval.label == label),
        key=lambda interval: (-interval.score, interval.video, interval.start_seconds, interval.stop_seconds),
    )
    truth: dict[str, list[Segment]] = {}
    for segment in labelled:
        if segment.label == label:
            truth.setdefault(segment.video, []).append(segment)
    taken: list[set[tuple[str, int]]] = [set() for _ in TIOUS]
    right = np.zeros((len(TIOUS), len(own)), np.bool_)
    for i, candidate in enumerate(own):
        ratios = [overlap_ratio(candidate, other) for other in truth.get(candidate.video, ())]
        nearest = sorted(range(len(ratios)), key=lambda j: -ratios[j])
        for h, tiou in enumerate(TIOUS):
            free = next((j for j in nearest if ratios[j] >= tiou and (candidate.video, j) not in taken[h]), None)
            if free is not None:
                taken[h].add((candidate.video, free))
                right[h, i] = True
    num_labelled = np.zeros(num_sources, np.int64)
    for video, others in truth.items():
        num_labelled[number[video]] += len(others)
    steps = [i for i, interval in enumerate(own) if i + 1 == len(own) or own[i + 1].score != interval.score]
    return _Matched(label, right, np.array([number[interval.video] for interval in own], np.int64), np.array(steps, np.int64), num_labelled)


def _average_precisions(matched: _Matched, times: NDArray[np.int64]) -> Floats:
    """Compute the average precision (h, r) where videos count `times` (r, s), NaN without labels."""
    num_labelled = times @ matched.num_labelled
    if not len(matched.sources):
        return np.tile(np.where(num_labelled > 0, 0.0, np.nan), (len(TIOUS), 1))
    weights = times[:, matched.sources]
    num_found = np.maximum(np.cumsum(weights, axis=1)[:, matched.steps], 1)
    averages = []
    for right in matched.right:
        num_right = np.cumsum(weights * right, axis=1)[:, matched.steps]
        precision = np.maximum.accumulate((num_right / num_found)[:, ::-1], axis=1)[:, ::-1]
        area = (np.diff(num_right, axis=1, prepend=0) * precision).sum(axis=1)
        averages.append(np.where(num_labelled > 0, area / np.maximum(num_labelled, 1), np.nan))
    return np.stack(averages)


def _interval(matched: Sequence[_Matched], mean: float, num_sources: int, num_resamples: int) -> tuple[float, float] | None:
    """Compute the 95 % interval of the mean from resampled source videos with a label.

    Where the videos at hand are alike by chance, resampling them shows no spread. So the interval is at least as wide as that of a share of
    as many labels found, which allows for labels of one video that are found or missed together. With few labels the mean is too high, as
    the precision is raised to that at a higher recall; so the lower limit goes down by as much as resamples lie above the mean.
    `docs/evidence.md` shows the simulated coverage.
    """
    num_labelled = np.sum([matches.num_labelled for matches in matched], axis=0)
    labelled = num_labelled > 0
    if labelled.sum() < MIN_SOURCES or not num_resamples:
        return None
    num_right = np.sum([np.bincount(matches.sources[matches.right[MIDDLE]], minlength=num_sources) for matches in matched], axis=0)
    draws = _draw(matched, num_sources, num_resamples)
    draws = draws[~np.isnan(draws)]
    resampled, of_share = expanded_interval(draws, mean, num_sources), interval_around(mean, num_right[labelled], num_labelled[labelled])
    too_high = max(0.0, float(draws.mean()) - mean)
    return max(0.0, min(resampled[0], of_share[0]) - too_high), min(1.0, max(resampled[1], of_share[1]))


def _draw(matched: Sequence[_Matched], num_sources: int, num_resamples: int) -> Floats:
    """Compute the mean (r,) of each resample over the classes with labels, NaN without any."""
    means = []
    for times in resampled_counts(num_sources, num_resamples, max(num_sources, *(len(matches.sources) for matches in matched))):
        of_classes = np.stack([_average_precisions(matches, times).mean(axis=0) for matches in matched])
        number = (~np.isnan(of_classes)).sum(axis=0)
        means.append(np.divide(np.nansum(of_classes, axis=0), number, out=np.full(len(times), np.nan), where=number > 0))
    return np.concatenate(means)
