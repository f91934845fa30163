"""Whether probabilities mean what they say, and the temperatures that make them.

Legend: n clips, c classes of a head.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tasks.evaluation.scoring import Logits, ScoredClips
from tasks.results.metrics import Calibration, ReliabilityBin
from tasks.results.record import TARGETS, ModelRole, SplitName, Target

NUM_BINS = 10
NUM_CHANCE_DRAWS, CHANCE_SEED = 200, 0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Where val has no mistake, or nothing but mistakes, the best temperature is none or infinite; the search ends at these."""

Temperatures = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(n,) of the verb head and (n,) of the noun head: one temperature a clip, since val's clips are served from two folds."""


def calibrations(
    scored: Mapping[ModelRole, ScoredClips], val: Mapping[ModelRole, ScoredClips], split: SplitName, targets: Collection[Target]
) -> tuple[Calibration, ...]:
    """`calibrate` for every network.

    Args:
        scored: by network, what it answered on `split`.
        val: by network, what it answered on val; a network that is missing here has no temperatures.
        split: whose clips `scored` are.
        targets: those to be shown.
    """
    found = (one for model, clips in scored.items() for one in calibrate(clips, val.get(model), model=model, split=split))
    return tuple(one for one in found if one.target in targets)


def calibrate(clips: ScoredClips, val: ScoredClips | None, *, model: ModelRole, split: SplitName) -> tuple[Calibration, ...]:
    """Reliability of verbs, nouns and actions on one split, before and after a temperature for each head.

    The probability of an action is that of the verb times that of the noun: the heads know nothing of one another. On val itself the
    calibrated error comes from two folds of source videos: each is measured with the temperatures of the other. The bins are of the
    probabilities before calibration.

    Args:
        clips: what the network answered on `split`, n at least 1.
        val: what it answered on val, where the temperatures are fitted, on the clips whose classes it has outputs for; None where val was
            not scored.
        model: which network answered.
        split: whose clips these are.
    """
    fitted = _fitted(val) if val else None
    served = _cross_fitted(clips) if split == "val" else _everywhere(fitted, len(clips.uids))
    ones = np.ones(len(clips.uids))
    raw, right = _confidences(clips, (ones, ones)), _right(clips)
    calibrated = _confidences(clips, served) if served else None
    temperature_of: dict[Target, float | None] = {"verb": fitted[0], "noun": fitted[1], "action": None} if fitted else {}
    return tuple(
        Calibration(
            model=model,
            split=split,
            target=target,
            temperature=temperature_of.get(target),
            ece=expected_error(reliability(raw[target], right[target])),
            ece_by_chance=error_by_chance(raw[target]),
            ece_calibrated=expected_error(reliability(calibrated[target], right[target])) if calibrated else None,
            ece_calibrated_by_chance=error_by_chance(calibrated[target]) if calibrated else None,
            bins=reliability(raw[target], right[target]),
        )
        for target in TARGETS
    )


def fit_temperature(logits: Logits, classes: NDArray[np.int64], limits: tuple[float, float] = (MIN_TEMPERATURE, MAX_TEMPERATURE)) -> float:
    """The temperature that divides logits so that their cross-entropy is least (Guo et al. 2017, arXiv 1706.04599), within 0.05 and 20.

    Args:
        logits: (n, c) before softmax.
        classes: (n,) true class ids.
        limits: other ends of the search.
    """
    doubles, rows = logits.astype(np.float64), np.arange(len(classes))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(doubles / np.exp(log_temperature), axis=1)[rows, classes].mean())

    # The loss is convex in 1 / temperature, so it has one valley in the logarithm too.
    return float(np.exp(minimize_scalar(loss, bounds=np.log(limits), method="bounded", options={"xatol": 1e-6}).x))


def folds(sources: Sequence[str]) -> NDArray[np.bool_] | None:
    """(n,) which clips are in the second of two folds of source videos, of about the same number of clips; None where there is one video alone."""
    names, source_of_clip, num_clips = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    if len(names) == 1:
        return None
    fold_of_source = np.empty(len(names), np.bool_)
    # The largest first, by turns, so that the folds are of about one size; equals by name.
    fold_of_source[np.argsort(-num_clips, kind="stable")] = np.arange(len(names)) % 2 == 1
    in_second: NDArray[np.bool_] = fold_of_source[source_of_clip]
    return in_second


def at_search_limit(temperature: float) -> bool:
    """Whether the search for a temperature ended at one of its limits, so that the best one lies beyond."""
    return temperature < MIN_TEMPERATURE * 1.001 or temperature > MAX_TEMPERATURE / 1.001


def reliability(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Clips by the probability of their best guess, in ten bins of equal width; empty ones are left out.

    Args:
        confidences: (n,) probability of each clip's best guess.
        right: (n,) whether it is true.
    """
    positions = _bin_positions(confidences)
    return tuple(
        ReliabilityBin(
            low=position / NUM_BINS,
            high=(position + 1) / NUM_BINS,
            num_clips=int((positions == position).sum()),
            mean_confidence=float(confidences[positions == position].mean()),
            accuracy=float(right[positions == position].mean()),
        )
        for position in np.unique(positions).tolist()
    )


def expected_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error: how far accuracy and confidence are apart, the mean over clips."""
    num_clips = sum(b.num_clips for b in bins)
    return sum(b.num_clips * abs(b.accuracy - b.mean_confidence) for b in bins) / num_clips


def error_by_chance(confidences: NDArray[np.float64]) -> float:
    """The expected calibration error that a perfectly calibrated network has on as many clips: the mean of seeded draws.

    Args:
        confidences: (n,) probability of each clip's best guess, which is taken at its word; clips as if independent.
    """
    rng = np.random.default_rng(CHANCE_SEED)
    total = 0.0
    for in_bin in _binned(np.sort(confidences)):
        num_right = np.array([(rng.random(len(in_bin)) < in_bin).sum() for _ in range(NUM_CHANCE_DRAWS)])
        total += float(np.abs(num_right - in_bin.sum()).mean())
    return total / len(confidences)


def _binned(confidences: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    positions = _bin_positions(confidences)
    return [confidences[positions == position] for position in np.unique(positions)]


def _bin_positions(confidences: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((confidences * NUM_BINS).astype(np.int64), NUM_BINS - 1)


def _everywhere(fitted: tuple[float, float] | None, num_clips: int) -> Temperatures | None:
    return (np.full(num_clips, fitted[0]), np.full(num_clips, fitted[1])) if fitted else None


def _cross_fitted(clips: ScoredClips) -> Temperatures | None:
    """Each clip's temperatures from the other half of the source videos; None where there is one video alone, or a half that tells none."""
    half = folds(clips.sources)
    if half is None:
        return None
    verbs, nouns = np.empty(len(half)), np.empty(len(half))
    for here, there in ((half, ~half), (~half, half)):
        fitted = _fitted(clips.only(there))
        if fitted is None:
            return None
        verbs[here], nouns[here] = fitted
    return verbs, nouns


def _fitted(clips: ScoredClips) -> tuple[float, float] | None:
    """Temperatures of verbs and of nouns, from the clips whose classes the network has outputs for; None where there is no such clip."""
    own = clips.only(clips.has_outputs)
    if not own.uids:
        return None
    return fit_temperature(own.verb_logits, own.verb_classes), fit_temperature(own.noun_logits, own.noun_classes)


def _confidences(clips: ScoredClips, temperatures: Temperatures) -> dict[Target, NDArray[np.float64]]:
    verb, noun = _best_probability(clips.verb_logits, temperatures[0]), _best_probability(clips.noun_logits, temperatures[1])
    return {"verb": verb, "noun": noun, "action": verb * noun}


def _best_probability(logits: Logits, temperatures: NDArray[np.float64]) -> NDArray[np.float64]:
    highest: NDArray[np.float64] = np.exp(log_softmax(logits.astype(np.float64) / temperatures[:, None], axis=1).max(axis=1))
    return highest


def _right(clips: ScoredClips) -> dict[Target, NDArray[np.bool_]]:
    verb = np.equal(clips.verb_logits.argmax(axis=1), clips.verb_classes)
    noun = np.equal(clips.noun_logits.argmax(axis=1), clips.noun_classes)
    return {"verb": verb, "noun": noun, "action": verb & noun}
