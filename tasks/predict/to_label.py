"""Choose the clips to label first: uncertain for the model and unlike its training clips.

Legend: n clips, f features.

A clip's score is the mean of two percentiles among the clips of the run: of its action entropy, and of its distance to the nearest training
clip. Percentiles give both the same scale and weight. Clips are then picked greedily: each time the one with the largest sum of its score
and its distance to the nearest clip already picked (as a share of the median distance of two clips, at most 1), so that near-duplicates do
not fill the top. This is maximal marginal relevance (Carbonell and Goldstein 1998) with the farthest-point distance of k-centre (Sener and
Savarese 2018, arXiv 1708.00489) as diversity.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import rankdata

from tasks.errors import BadInput
from tasks.judge.statistics.answers import encode
from tasks.store.records.dataset import NO_OBJECT
from tasks.wording import csv_table, percent, plain_cell

Features = NDArray[np.float32]

MAX_POOL = 1000
"""Number of highest-scoring clips to pick from, which bounds memory and time."""

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
"""The columns of an annotation file to fill in, and others that the ingest ignores."""

SCHEMA = pa.schema([("uid", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True)
class Candidate:
    """An unlabelled clip with the model's best actions; `novelty` is NaN if unknown."""

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
    """A clip on the list, with the reason."""

    clip: Candidate
    score: float
    reason: str


def scores(entropies: NDArray[np.float64], novelty: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute (n,) scores in [0, 1] from entropies and, unless one is NaN, distances."""
    parts = [_percentiles(entropies)]
    if not np.isnan(novelty).any():
        parts.append(_percentiles(novelty))
    mean: NDArray[np.float64] = np.mean(parts, axis=0)
    return mean


def pool(values: NDArray[np.float64]) -> list[int]:
    """Find the positions of the `MAX_POOL` highest scores, best first."""
    best: list[int] = np.argsort(-values, kind="stable")[:MAX_POOL].tolist()
    return best


def in_order(values: NDArray[np.float64], features: Features, num_clips: int) -> list[tuple[int, float]]:
    """Pick clips to label by scores (n,) and features (n, f), best first.

    Return positions, each with its distance to the nearest clip picked before, as a share of the median distance, at most 1.
    """
    if not len(values):
        return []
    unit = directions(features)
    apart = unit @ unit.T
    np.clip(np.subtract(1.0, apart, out=apart), 0.0, None, out=apart)
    typical = float(np.median(apart[~np.eye(len(apart), dtype=bool)])) if len(apart) > 1 else 0.0
    nearest = np.ones(len(values))
    left = np.ones(len(values), bool)
    picked: list[tuple[int, float]] = []
    while len(picked) < min(num_clips, len(values)):
        taken = int(np.argmax(np.where(left, values + nearest, -np.inf)))
        picked.append((taken, float(nearest[taken])))
        left[taken] = False
        # With identical clips the median distance is 0, and only scores count.
        nearest = np.minimum(nearest, apart[taken] / typical if typical > 0 else 0.0)
    return picked


def reason(clip: Candidate, novelty_percentile: float | None, spread: float) -> str:
    """Explain why this clip should be labelled; `spread` is its distance from `in_order`."""
    parts = [f"{clip.first} ({percent(clip.first_probability)}) or {clip.second} ({percent(clip.second_probability)})"]
    # A smaller share would read 0.0 %.
    if novelty_percentile is not None and novelty_percentile >= 0.0005:
        parts.append(f"less similar to the training clips than {percent(novelty_percentile)} of the clips here")
    if spread < 0.5:
        parts.append("similar to a clip above")
    return "; ".join(parts)


def percentiles(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Compute the (n,) shares of values below each value; None if any is NaN."""
    return None if np.isnan(values).any() else (rankdata(values, method="min") - 1) / len(values)


def table(listed: Iterable[ToLabel]) -> bytes:
    """Write the list as an annotation file whose `verb` and `noun` a person fills in."""
    rows: Iterator[dict[str, object]] = (
        {
            "uid": each.clip.uid,
            "suggested_verb": each.clip.verb,
            "suggested_noun": "" if each.clip.noun == NO_OBJECT else each.clip.noun,
            "probability": round(each.clip.first_probability, 3),
            "reason": each.reason,
            "file": each.clip.file,
            "from_seconds": f"{each.clip.start_seconds:.3f}",
            "to_seconds": f"{each.clip.stop_seconds:.3f}",
            "score": round(each.score, 3),
        }
        for each in listed
    )
    # Annotation files are read line by line, so a quote must never stay open at the end of a line.
    return csv_table(COLUMNS, ({name: _cell(value) for name, value in row.items()} for row in rows))


def parquet(listed: Sequence[ToLabel]) -> bytes:
    """Write the clips of the list and their reasons for the page Label."""
    return encode(pa.table({"uid": [each.clip.uid for each in listed], "reason": [each.reason for each in listed]}, schema=SCHEMA))


def chosen(
    candidates: Sequence[Candidate],
    features: Features,
    values: NDArray[np.float64],
    shares: NDArray[np.float64] | None,
    num_clips: int,
) -> list[ToLabel]:
    """Build the list from the pool, best first.

    `shares` of the run's clips are closer to the training set; None if unknown.
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


def directions(features: Features) -> Features:
    """Scale (n, f) features to unit length; zero rows stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Features = (features / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
    return unit


def distances_to_nearest(features: Features, known: Features) -> NDArray[np.float64]:
    """Compute (n,) cosine distances from (n, f) to the nearest of (m > 0, f)."""
    nearest = (directions(features) @ directions(known).T).max(axis=1)
    distances: NDArray[np.float64] = np.clip(1.0 - nearest.astype(np.float64), 0.0, 2.0)
    return distances


def to_bytes(features: Features) -> bytes:
    """Encode (n, f) features as the bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, features.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def from_bytes(data: bytes, uri: str) -> Features:
    """Decode the output of `to_bytes`.

    Raises:
        BadInput: the bytes are not a file of features.
    """
    features: Features | None = None
    with suppress(ValueError, EOFError, OSError):
        features = np.load(io.BytesIO(data), allow_pickle=False)
    if features is None or features.ndim != 2 or features.dtype != np.float32:
        raise BadInput(f"{uri} is not a file of features; delete it and predict again")
    return features
