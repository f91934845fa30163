"""Fit the probability from which intervals are reported, on val clips.

Legend: n clips.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tasks.judge.statistics.scoring import ScoredClips
from tasks.predict.probabilities import distributions
from tasks.predict.temperatures import Served
from tasks.store.records.record import Target
from tasks.wording import count, percent

MIN_CLIPS = 10
"""Fewest val clips at or above a threshold. Of fewer, the precision is known too badly."""

LEVEL = 0.8
"""Level of the one-sided lower limit of a precision. A higher one would report nothing more often."""
FEW_CLIPS = 45
"""With fewer val clips, a chosen precision does not hold on other clips on average (`docs/evidence.md`)."""


@dataclass(frozen=True)
class Threshold:
    """The lowest probability to report, None for any, and where it comes from; `reports` is False if no probability is high enough."""

    probability: float | None
    words: str
    reports: bool = True


NO_THRESHOLD = Threshold(None, "")
"""Without intervals there is none."""


def fit_threshold(
    val: ScoredClips,
    served: Served,
    precision: float,
    targets: Collection[Target],
    *,
    crops: int,
    nothing_verb: int | None = None,
    pairs: Iterable[tuple[int, int]] = (),
) -> Threshold:
    """Find the lowest probability at or above which val shows that `precision` of the clips are right.

    The probability is that of the best action, or of the best verb if nouns are no target. A clip whose class the network cannot name
    counts as wrong. Clips that it calls `nothing` are left out, because no such interval is reported.

    Args:
        val: logits on val clips.
        served: the temperatures that calibrate them.
        precision: a share.
        targets: the targets of the dataset.
        crops: crops per frame of the logits.
        nothing_verb: id of the verb `nothing`, if a label says it.
        pairs: the verbs and nouns that make an action; without any, all do.

    Returns:
        a threshold that reports nothing if val never shows the precision, and everything if val has too few clips to tell.
    """
    has_nouns = "noun" in targets
    noun_logits = val.noun_logits if has_nouns else np.zeros((len(val.uids), 1), np.float32)
    verbs, nouns, likely = distributions(val.verb_logits, noun_logits, served.verb, served.noun, pairs if has_nouns else ()).best()
    right = (verbs == val.verb_classes) & (not has_nouns or nouns == val.noun_classes)
    if nothing_verb is not None:
        likely, right = likely[verbs != nothing_verb], right[verbs != nothing_verb]
    seen = f"{count(len(right), 'val clip')} on which it named an action" if nothing_verb is not None else count(len(right), "val clip")
    of_crops = f"({count(crops, 'crop')} per frame)"
    if len(right) < MIN_CLIPS:
        return without_threshold(f"{seen} {of_crops} are too few to choose a threshold, which takes {MIN_CLIPS}")
    probability = lowest_probability(likely, right, precision)
    if probability is None:
        return Threshold(
            None,
            f"none, because no probability separates {MIN_CLIPS} or more of the {seen} {of_crops} that show a precision of {percent(precision)}; a "
            "lower interval_precision may, or more val clips",
            reports=False,
        )
    above = likely >= probability
    num_right, num_above = right[above].sum(keepdims=True), np.array([above.sum()])
    caution = f", fewer than {FEW_CLIPS}, so on others fewer may be right" if len(right) < FEW_CLIPS else ""
    return Threshold(
        probability,
        f"from {percent(probability)} on, because {percent(float(right[above].mean()))} of the {count(int(above.sum()), 'val clip')} "
        f"predicted so {of_crops} were right, a share whose lower limit is {percent(float(lower_limit(num_right, num_above)[0]))}, and at least "
        f"{percent(precision)} was asked for; the threshold was chosen on the same clips{caution}",
    )


def without_threshold(reason: str) -> Threshold:
    """Report intervals of any probability, with the reason."""
    return Threshold(None, f"of any probability: {reason}")


def lowest_probability(likely: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float | None:
    """Find the lowest threshold on (n,) probabilities at or above which (n,) answers show `precision`, and `MIN_CLIPS` of them at least.

    The lowest at which their share reaches it would be one that val is lucky at. So the share's lower limit has to (Wilson 1927, one-sided, at
    `LEVEL`). `docs/evidence.md` shows the simulated precision on other clips.
    """
    order = np.argsort(-likely, kind="stable")
    found, numbers = likely[order], np.arange(1, len(order) + 1)
    # Equal probabilities are kept or left out together.
    is_last = np.append(found[1:] != found[:-1], True) if len(found) else np.empty(0, np.bool_)
    fitting = np.flatnonzero(is_last & (lower_limit(np.cumsum(right[order]), numbers) >= precision) & (numbers >= MIN_CLIPS))
    return float(found[fitting[-1]]) if len(fitting) else None


def lower_limit(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the one-sided lower limit (n,) at `LEVEL` of a share of which `num_right` (n,) of `num_clips` (n,) were seen."""
    z, shares = float(ndtri(LEVEL)), num_right / num_clips
    off = z * np.sqrt(shares * (1 - shares) / num_clips + (z / num_clips) ** 2 / 4)
    limit: NDArray[np.float64] = (shares + z**2 / num_clips / 2 - off) / (1 + z**2 / num_clips)
    return limit
