"""Compute calibrated probabilities of verbs, nouns and actions, and the threshold for reporting intervals.

Legend: n clips, k ranks, v verbs, o nouns, p pairs. An action's probability is the product of its verb's and its noun's, since the heads
are independent.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, ndtri, softmax

from tasks.judge.statistics.answers import NUM_RANKS, Ids, action_id, rank
from tasks.judge.statistics.calibration import at_search_limit, faultless_heads, fit_temperature
from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.record import Target
from tasks.wording import count, percent

Probabilities = NDArray[np.float64]

MIN_CLIPS = 10
"""Fewest val clips at or above a threshold. Of fewer, the precision is known too badly."""

LEVEL = 0.8
"""Level of the one-sided lower limit of a precision. A higher one would report nothing more often."""

FEW_VAL_CLIPS = 45
"""With fewer val clips, a chosen precision does not hold on other clips on average (`docs/evidence.md`)."""


@dataclass(frozen=True)
class Ranked:
    """One target's best classes, best first: (n, k) ids and probabilities; ties by lower id."""

    ids: Ids
    probabilities: Probabilities


@dataclass(frozen=True)
class Distributions:
    """One network's probabilities of (n, v) verbs and (n, o) nouns.

    Each row sums to 1. `pairs` are the (p, 2) verbs and nouns that make an action; None if all do.
    """

    verbs: Probabilities
    nouns: Probabilities
    pairs: Ids | None = None

    def ranked(self) -> dict[Target, Ranked]:
        """Rank the best five classes of each target.

        Actions are ranked over all pairs of verb and noun; pairs that make no action come last, with probability 0.
        """
        verbs, nouns = _best(self.verbs), _best(self.nouns)
        # The best k pairs use only the best k verbs and nouns: any other pair is beaten by k pairs with a better verb or noun.
        products = (verbs.probabilities[:, :, None] * nouns.probabilities[:, None, :]).reshape(len(self.verbs), -1)
        actions = action_id(verbs.ids[:, :, None], nouns.ids[:, None, :]).reshape(len(self.verbs), -1)
        if self.pairs is not None:
            known = action_id(self.pairs[:, 0], self.pairs[:, 1])
            products = np.concatenate([self._products(self.pairs), np.where(np.isin(actions, known), -1.0, 0.0)], axis=1)
            actions = np.concatenate([np.broadcast_to(known, (len(actions), len(known))), actions], axis=1)
        order = np.argsort(-products, axis=1, kind="stable")[:, :NUM_RANKS]
        best = Ranked(np.take_along_axis(actions, order, axis=1), np.take_along_axis(products, order, axis=1))
        return {"verb": verbs, "noun": nouns, "action": best}

    def best(self) -> tuple[Ids, Ids, Probabilities]:
        """Find the (n,) verb, noun and probability of the likeliest action."""
        if self.pairs is None:
            return self.verbs.argmax(axis=1), self.nouns.argmax(axis=1), self.verbs.max(axis=1) * self.nouns.max(axis=1)
        products = self._products(self.pairs)
        verbs, nouns = self.pairs[products.argmax(axis=1)].T
        return verbs, nouns, products.max(axis=1)

    def _products(self, pairs: Ids) -> Probabilities:
        return self.verbs[:, pairs[:, 0]] * self.nouns[:, pairs[:, 1]]

    def entropies(self) -> Probabilities:
        """Compute (n,) action entropies as shares of the maximum: 0 is certain, 1 is uniform."""
        most = np.log(self.verbs.shape[1]) + np.log(self.nouns.shape[1])
        shares: Probabilities = (entr(self.verbs).sum(axis=1) + entr(self.nouns).sum(axis=1)) / most
        return shares


def distributions(
    verb_logits: Logits, noun_logits: Logits, verb_temperature: float, noun_temperature: float, pairs: Iterable[tuple[int, int]] = ()
) -> Distributions:
    """Apply softmax to logits (n, v) and (n, o); without `pairs`, all make an action."""
    known = [(verb, noun) for verb, noun in sorted(pairs) if verb < verb_logits.shape[1] and noun < noun_logits.shape[1]]
    return Distributions(
        softmax(verb_logits.astype(np.float64) / verb_temperature, axis=1),
        softmax(noun_logits.astype(np.float64) / noun_temperature, axis=1),
        np.array(known, np.int64) if known else None,
    )


def divergences(ours: Distributions, theirs: Distributions) -> Probabilities:
    """Compute the (n,) Jensen-Shannon divergences of two networks over all actions, in bits.

    0 is equal, 1 is disjoint. Lin 1991, Divergence measures based on the Shannon entropy.
    """
    bits = np.empty(len(ours.verbs))
    num_verbs, num_nouns = (max(our.shape[1], their.shape[1]) for our, their in ((ours.verbs, theirs.verbs), (ours.nouns, theirs.nouns)))
    for i in range(len(bits)):
        p, q = (np.outer(_widened(likely.verbs[i], num_verbs), _widened(likely.nouns[i], num_nouns)) for likely in (ours, theirs))
        # entr is in nats.
        bits[i] = (entr((p + q) / 2).sum() - (entr(p).sum() + entr(q).sum()) / 2) / np.log(2)
    return np.clip(bits, 0.0, 1.0)


def _widened(probabilities: Probabilities, size: int) -> Probabilities:
    """Pad (c,) to (size,): classes without an output have probability 0."""
    return np.pad(probabilities, (0, size - len(probabilities)))


def _best(probabilities: Probabilities) -> Ranked:
    ids = rank(probabilities)
    return Ranked(ids, np.take_along_axis(probabilities, ids, axis=1))


@dataclass(frozen=True)
class Served:
    """Temperatures of both heads, their origin, and crops per frame if they were fitted."""

    verb: float
    noun: float
    words: str
    crops: int | None

    @property
    def is_calibrated(self) -> bool:
        """Check whether they were fitted."""
        return self.crops is not None


def served(val: ScoredClips, crops: int, engine: str, targets: Collection[Target]) -> Served:
    """Fit temperatures on val clips whose classes the network can name, else take 1."""
    val = val.only(val.has_outputs)
    if not val.uids:
        return not_calibrated("it cannot name the classes of any val clip")
    heads: dict[Target, tuple[Logits, NDArray[np.int64]]] = {
        "verb": (val.verb_logits, val.verb_classes),
        "noun": (val.noun_logits, val.noun_classes),
    }
    scored = {target: head for target, head in heads.items() if target in targets}
    fitted = {target: fit_temperature(*head) for target, head in scored.items()}
    seen = count(len(val.uids), "val clip")
    if faultless := [f"{target}s" for target in faultless_heads(val, scored)]:
        return not_calibrated(f"no mistakes in {' or '.join(faultless)} on {seen}, so no temperature can be fitted")
    if any(map(at_search_limit, fitted.values())):
        return not_calibrated(f"the best temperature on {seen} is at the limit of the search")
    each = " and ".join(f"{temperature:.2f} ({target}s)" for target, temperature in fitted.items())
    plural = "s" if len(fitted) > 1 else ""
    words = f"temperature{plural} {each}, fitted on {seen} ({count(crops, 'crop')} per frame, {engine})"
    return Served(fitted["verb"], fitted.get("noun", 1.0), words, crops)


def not_calibrated(reason: str) -> Served:
    """Serve uncalibrated probabilities, with the reason."""
    return Served(1.0, 1.0, f"not calibrated: {reason}", None)


@dataclass(frozen=True)
class Threshold:
    """The lowest probability to report.

    `probability` is None if all are reported, or, if `reports` is False, none.
    """

    probability: float | None
    words: str
    reports: bool = True


@dataclass(frozen=True)
class Nothing:
    """Labels that nothing happens: the id of their verb, and the length of a clip."""

    verb: int
    clip_seconds: float


NO_THRESHOLD = Threshold(None, "")
"""Without intervals there is none."""


def fit_threshold(
    val: ScoredClips,
    served: Served,
    precision: float,
    targets: Collection[Target],
    *,
    crops: int,
    nothing: Nothing | None = None,
    pairs: Iterable[tuple[int, int]] = (),
) -> Threshold:
    """Find the lowest probability from which val shows that `precision` of the clips are right.

    The probability is that of the best action, or of the best verb if nouns are no target. A clip whose class the network cannot name
    counts as wrong. Clips that it calls `nothing` are left out, because no such interval is reported. The threshold reports nothing if val
    never shows the precision, and everything if val has too few clips to tell. Without `pairs`, all verbs and nouns make an action.
    """
    has_nouns = "noun" in targets
    noun_logits = val.noun_logits if has_nouns else np.zeros((len(val.uids), 1), np.float32)
    verbs, nouns, likely = distributions(val.verb_logits, noun_logits, served.verb, served.noun, pairs if has_nouns else ()).best()
    right = (verbs == val.verb_classes) & (not has_nouns or nouns == val.noun_classes)
    is_idle = np.zeros(len(right), np.bool_) if nothing is None else val.verb_classes == nothing.verb
    num_idle = int(is_idle.sum())
    if nothing is not None:
        likely, right, is_idle = (own[verbs != nothing.verb] for own in (likely, right, is_idle))
    seen = f"{count(len(right), 'val clip')} on which it named an action" if nothing is not None else count(len(right), "val clip")
    of_crops = f"({count(crops, 'crop')} per frame)"
    if len(right) < MIN_CLIPS:
        return without_threshold(
            f"{seen} {of_crops} {'is' if len(right) == 1 else 'are'} too few to choose a threshold, which takes {MIN_CLIPS}"
        )
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
    caution = f", fewer than {FEW_VAL_CLIPS}, so on others fewer may be right" if len(right) < FEW_VAL_CLIPS else ""
    if nothing is not None and num_idle:
        alarms = int((above & is_idle).sum())
        caution += (
            f"; of {count(num_idle, 'val clip')} in which nothing happens it reports an action in {alarms:,}, "
            f"{60 * alarms / (num_idle * nothing.clip_seconds):.1f} false alarms a minute"
        )
    if nothing is None:
        caution += "; each of them shows an action, so it counts no false alarm where nothing happens"
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
    """Find the lowest threshold at or above which the answers show `precision`.

    Probabilities and answers are (n,); at least `MIN_CLIPS` answers lie there. At the lowest threshold at which the share of right answers
    reaches the precision, it would be optimistically biased. So the share's lower limit has to reach it
    (Wilson 1927, one-sided, at `LEVEL`). `docs/evidence.md` shows the simulated precision on other clips.
    """
    order = np.argsort(-likely, kind="stable")
    falling, numbers = likely[order], np.arange(1, len(order) + 1)
    # Equal probabilities are kept or left out together.
    is_last = np.append(falling[1:] != falling[:-1], True) if len(falling) else np.empty(0, np.bool_)
    fitting = np.flatnonzero(is_last & (lower_limit(np.cumsum(right[order]), numbers) >= precision) & (numbers >= MIN_CLIPS))
    return float(falling[fitting[-1]]) if len(fitting) else None


def lower_limit(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the one-sided lower limit (n,) at `LEVEL` of `num_right` of `num_clips` (n,)."""
    z, shares = float(ndtri(LEVEL)), num_right / num_clips
    off = z * np.sqrt(shares * (1 - shares) / num_clips + (z / num_clips) ** 2 / 4)
    limit: NDArray[np.float64] = (shares + z**2 / num_clips / 2 - off) / (1 + z**2 / num_clips)
    return limit
