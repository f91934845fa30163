"""Compute the networks' calibrated predictions for clips of one video.

Legend: n clips.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.scoring import Logits
from tasks.predict.probabilities import Distributions, Ranked, distributions, divergences
from tasks.predict.scored import ScoredVideoClips
from tasks.store.records.prediction import Predictor, PredictorRole
from tasks.store.records.record import Target


@dataclass(frozen=True)
class Answered:
    """The networks' calibrated predictions.

    Attributes:
        ranked: the best classes, by network and target.
        entropies: (n,) entropy of the model's actions, as a share of the maximum.
        divergences: (n,) Jensen-Shannon divergence of the two networks in bits; empty without a second network.
    """

    ranked: dict[PredictorRole, dict[Target, Ranked]]
    entropies: NDArray[np.float64]
    divergences: NDArray[np.float64]


def answered(clips: ScoredVideoClips, predictors: Mapping[PredictorRole, Predictor], targets: Collection[Target]) -> Answered:
    """Compute probabilities from logits.

    If nouns are no target, use a single noun of probability 1.
    """
    likely = {role: likely_by(predictors[role], *logits, targets) for role, logits in clips.logits.items()}
    return Answered(
        ranked={role: one.ranked() for role, one in likely.items()},
        entropies=likely["model"].entropies(),
        divergences=divergences(likely["model"], likely["against"]) if "against" in likely else np.empty(0),
    )


def likely_by(predictor: Predictor, verbs: Logits, nouns: Logits, targets: Collection[Target]) -> Distributions:
    """Compute one network's probabilities from logits (n, v) and (n, o)."""
    temperatures = predictor.verb_temperature, predictor.noun_temperature
    if "noun" not in targets:
        return distributions(verbs, np.zeros((len(verbs), 1), np.float32), *temperatures)
    return distributions(verbs, nouns, *temperatures, predictor.actions)
