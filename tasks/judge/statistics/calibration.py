"""Measure how well probabilities are calibrated, and fit temperatures that calibrate them.

Legend: n clips, c classes of a head.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.metrics import Calibration, ReliabilityBin
from tasks.store.records.record import TARGETS, ModelRole, SplitName, Target

NUM_BINS = 10
NUM_CHANCE_DRAWS, CHANCE_SEED = 200, 0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Limits of the search for a temperature. If val has no mistakes, or only mistakes, the best temperature is zero or infinite."""

Temperatures = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(n,) of the verb head and (n,) of the noun head. One per clip, because val is calibrated in two folds."""


def calibrations(
    scored: Mapping[ModelRole, ScoredClips], val: Mapping[ModelRole, ScoredClips], split: SplitName, targets: Collection[Target]
) -> tuple[Calibration, ...]:
    """Call `calibrate` for every network; one that is missing in `val` gets no temperatures."""
    by_network = (calibrate(clips, val.get(model), model=model, split=split, targets=targets) for model, clips in scored.items())
    return tuple(calibration for of_network in by_network for calibration in of_network)


def calibrate(
    clips: ScoredClips, val: ScoredClips | None, *, model: ModelRole, split: SplitName, targets: Collection[Target] = TARGETS
) -> tuple[Calibration, ...]:
    """Measure the reliability of verbs, nouns and actions before and after temperature scaling.

    The probability of an action is that of the verb times that of the noun: the heads are independent. On val itself the calibrated error
    is cross-fitted over two folds of source videos: each fold uses the temperatures fitted on the other. The bins are of the probabilities
    before calibration.

    Args:
        clips: the network's scored clips of `split`, n at least 1.
        val: its scored clips of val; the temperatures are fitted on those whose classes it has outputs for. None if val was not scored.
        targets: the targets to return; without mistakes in the verbs or the nouns among them there are no temperatures.
    """
    fitted = _fit_temperatures(val, targets) if val else None
    unscaled = np.ones(len(clips.uids))
    same_for_all = (fitted[0] * unscaled, fitted[1] * unscaled) if fitted else None
    temperatures = _cross_fit_temperatures(clips, targets) if split == "val" else same_for_all
    raw, right = _confidences(clips, (unscaled, unscaled)), _right(clips)
    calibrated = _confidences(clips, temperatures) if temperatures else None
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
        if target in targets
    )


def fit_temperature(logits: Logits, classes: NDArray[np.int64], limits: tuple[float, float] = (MIN_TEMPERATURE, MAX_TEMPERATURE)) -> float:
    """Fit the temperature of logits (n, c) by cross-entropy (Guo et al. 2017, arXiv 1706.04599)."""
    doubles, rows = logits.astype(np.float64), np.arange(len(classes))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(doubles / np.exp(log_temperature), axis=1)[rows, classes].mean())

    # The loss is convex in 1 / temperature, so it has one minimum in the logarithm too.
    return float(np.exp(minimize_scalar(loss, bounds=np.log(limits), method="bounded", options={"xatol": 1e-6}).x))


def folds(sources: Sequence[str]) -> NDArray[np.bool_] | None:
    """Split the source videos into two folds with about equally many clips.

    Returns:
        (n,) whether each clip is in the second fold; None if there is only one video.
    """
    names, source_of_clip, num_clips = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    if len(names) == 1:
        return None
    fold_of_source = np.empty(len(names), np.bool_)
    # Assigned alternately, largest video first, so that the folds are about the same size; ties are ordered by name.
    fold_of_source[np.argsort(-num_clips, kind="stable")] = np.arange(len(names)) % 2 == 1
    in_second: NDArray[np.bool_] = fold_of_source[source_of_clip]
    return in_second


def faultless_heads(clips: ScoredClips, targets: Collection[Target]) -> list[Target]:
    """List the targets without a mistake: their best temperature would approach 0."""
    right = _right(clips)
    return [target for target in targets if target != "action" and right[target].all()]


def at_search_limit(temperature: float) -> bool:
    """Check whether a fitted temperature is at a limit of the search."""
    return temperature < MIN_TEMPERATURE * 1.001 or temperature > MAX_TEMPERATURE / 1.001


def reliability(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Bin the clips by top-1 probability, in `NUM_BINS` bins of equal width, without empty ones.

    Args:
        confidences: (n,) probability of each clip's top-1 prediction.
        right: (n,) whether the prediction is right.
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
    """Compute the expected calibration error: the mean gap between accuracy and confidence, weighted by clips."""
    num_clips = sum(b.num_clips for b in bins)
    return sum(b.num_clips * abs(b.accuracy - b.mean_confidence) for b in bins) / num_clips


def error_by_chance(confidences: NDArray[np.float64]) -> float:
    """Estimate the expected calibration error of a perfectly calibrated network from seeded draws.

    Args:
        confidences: (n,) probability of each clip's top-1 prediction; each draw is right with this probability, independently.
    """
    rng = np.random.default_rng(CHANCE_SEED)
    total, ordered = 0.0, np.sort(confidences)
    positions = _bin_positions(ordered)
    for in_bin in (ordered[positions == position] for position in np.unique(positions)):
        num_right = np.array([(rng.random(len(in_bin)) < in_bin).sum() for _ in range(NUM_CHANCE_DRAWS)])
        total += float(np.abs(num_right - in_bin.sum()).mean())
    return total / len(confidences)


def _bin_positions(confidences: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((confidences * NUM_BINS).astype(np.int64), NUM_BINS - 1)


def _cross_fit_temperatures(clips: ScoredClips, targets: Collection[Target]) -> Temperatures | None:
    """Fit each fold's temperatures on the other fold; None without two usable folds."""
    in_second = folds(clips.sources)
    if in_second is None:
        return None
    verbs, nouns = np.empty(len(in_second)), np.empty(len(in_second))
    for fold in (in_second, ~in_second):
        fitted = _fit_temperatures(clips.only(~fold), targets)
        if fitted is None:
            return None
        verbs[fold], nouns[fold] = fitted
    return verbs, nouns


def _fit_temperatures(clips: ScoredClips, targets: Collection[Target]) -> tuple[float, float] | None:
    """Fit both temperatures on clips with outputs.

    None without any, or if a head never errs.
    """
    usable = clips.only(clips.has_outputs)
    if not usable.uids or faultless_heads(usable, targets):
        return None
    return fit_temperature(usable.verb_logits, usable.verb_classes), fit_temperature(usable.noun_logits, usable.noun_classes)


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
