"""Which clips a person should label first: those that the model is least sure of and that resemble least what it was trained on.

Legend: n clips, f features.

A clip's score is the mean of two percentiles among the clips of the run: of the entropy of its action, and of its distance to the nearest training
clip. Percentiles, because the two have no unit in common and neither shall drown the other. Clips are then taken one after the other, each time the
one with the largest sum of its score and of its distance to the nearest clip that was taken (as a share of the median distance of two clips, 1 at
most), so that near-copies of one moment do not fill the top: maximal marginal relevance (Carbonell and Goldstein 1998), with the far point of
k-centre (Sener and Savarese 2018, arXiv 1708.00489) as the diversity.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tasks.prediction.familiar import Features, directions
from tasks.results.dataset import NO_OBJECT
from tasks.wording import percent, plain_cell

MAX_POOL = 1000
"""Clips of the highest scores that are looked at together: what bounds memory and time, whatever the number of clips."""

COLUMNS = (
    "uid",
    "verb",
    "noun",
    "action",
    "verb_class",
    "noun_class",
    "suggested_verb",
    "suggested_noun",
    "probability",
    "reason",
    "file",
    "from_seconds",
    "to_seconds",
    "score",
)
"""Those of an annotation file, to be filled in, and further ones, over which the ingest passes."""


@dataclass(frozen=True)
class Candidate:
    """A clip without a label. `first` and `second` are the model's best actions, `novelty` is NaN where no training clip is known."""

    uid: str
    file: str
    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str
    first: str
    first_probability: float
    second: str
    second_probability: float
    entropy: float
    novelty: float


@dataclass(frozen=True)
class ToLabel:
    """A clip on the list, and why it is there."""

    clip: Candidate
    score: float
    reason: str


def scores(entropies: NDArray[np.float64], novelty: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) scores between 0 and 1 from (n,) entropies and (n,) distances; where no distance is known, of the entropies alone."""
    parts = [_percentiles(entropies)]
    if not np.isnan(novelty).any():
        parts.append(_percentiles(novelty))
    mean: NDArray[np.float64] = np.mean(parts, axis=0)
    return mean


def pool(values: NDArray[np.float64]) -> list[int]:
    """The positions of the at most `MAX_POOL` highest scores, best first."""
    best: list[int] = np.argsort(-values, kind="stable")[:MAX_POOL].tolist()
    return best


def in_order(values: NDArray[np.float64], features: Features, num_clips: int) -> list[tuple[int, float]]:
    """The clips to label, the best first.

    Args:
        values: (n,) scores.
        features: (n, f) of the same clips.
        num_clips: how many at most.

    Returns:
        Positions, each with how far the clip is from the nearest one before it, as a share of the median distance, 1 at most.
    """
    if not len(values):
        return []
    unit = directions(features)
    apart = unit @ unit.T
    np.clip(np.subtract(1.0, apart, out=apart), 0.0, None, out=apart)
    typical = float(np.median(apart[~np.eye(len(apart), dtype=bool)])) if len(apart) > 1 else 0.0
    nearest = np.ones(len(values))
    left = np.ones(len(values), bool)
    found: list[tuple[int, float]] = []
    while len(found) < min(num_clips, len(values)):
        taken = int(np.argmax(np.where(left, values + nearest, -np.inf)))
        found.append((taken, float(nearest[taken])))
        left[taken] = False
        # Where all clips look alike there is nothing to spread over.
        nearest = np.minimum(nearest, apart[taken] / typical if typical > 0 else 0.0)
    return found


def reason(clip: Candidate, novelty_percentile: float | None, spread: float) -> str:
    """Why a person should look at this clip, in words.

    Args:
        clip: the clip.
        novelty_percentile: the share of the run's clips that are more like the training set; None where that is unknown.
        spread: how far it is from the nearest clip before it on the list, as a share of the median distance.
    """
    parts = [f"{clip.first} ({percent(clip.first_probability)}) or {clip.second} ({percent(clip.second_probability)})"]
    if novelty_percentile is not None:
        parts.append(f"less like the training clips than {percent(novelty_percentile)} of these")
    if spread < 0.5:
        parts.append("resembles one above")
    return "; ".join(parts)


def percentiles(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(n,) share of the values that lie below each; None where any is unknown."""
    return None if np.isnan(values).any() else (rankdata(values, method="min") - 1) / len(values)


def table(listed: Iterable[ToLabel]) -> bytes:
    """The list as an annotation file without labels: a person fills in `verb` and `noun`, and uploads it as it is."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for one in listed:
        row: dict[str, object] = {
            "uid": one.clip.uid,
            "suggested_verb": one.clip.verb,
            "suggested_noun": "" if one.clip.noun == NO_OBJECT else one.clip.noun,
            "probability": round(one.clip.first_probability, 3),
            "reason": one.reason,
            "file": one.clip.file,
            "from_seconds": f"{one.clip.start_seconds:.3f}",
            "to_seconds": f"{one.clip.stop_seconds:.3f}",
            "score": round(one.score, 3),
        }
        # Every line stands alone where annotations are read, and a quote left open would cost it.
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue().encode()


def chosen(
    candidates: Sequence[Candidate],
    features: Features,
    values: NDArray[np.float64],
    shares: NDArray[np.float64] | None,
    num_clips: int,
) -> list[ToLabel]:
    """The list, best first.

    Args:
        candidates: (n,) the pool.
        features: (n, f) of the same clips.
        values: (n,) their scores.
        shares: (n,) of each, the share of the run's clips that are more like the training set; None where that is unknown.
        num_clips: how many at most.
    """
    return [
        ToLabel(candidates[i], float(values[i]), reason(candidates[i], None if shares is None else float(shares[i]), spread))
        for i, spread in in_order(values, features, num_clips)
    ]


def _percentiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks: NDArray[np.float64] = (rankdata(values) - 0.5) / max(1, len(values))
    return ranks


def _cell(value: object) -> object:
    cell = plain_cell(value)
    return cell.replace('"', "'") if isinstance(cell, str) else cell
