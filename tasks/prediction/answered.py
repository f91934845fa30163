"""Compute the networks' calibrated predictions for clips of one video.

Legend: n clips.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.prediction.probabilities import Ranked, distributions, divergences
from tasks.prediction.scored import ScoredVideoClips
from tasks.results.prediction import PredictorRole
from tasks.results.record import Target

Temperatures = Mapping[PredictorRole, tuple[float, float]]
"""By network: the temperatures of its verb head and its noun head."""


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


def answered(clips: ScoredVideoClips, temperatures: Temperatures, targets: Collection[Target]) -> Answered:
    """Compute probabilities from logits.

    If nouns are no target, use a single noun of probability 1.
    """
    one_noun = np.zeros((len(clips.uids), 1), np.float32)
    likely = {
        role: distributions(verbs, nouns if "noun" in targets else one_noun, *temperatures[role])
        for role, (verbs, nouns) in clips.logits.items()
    }
    return Answered(
        ranked={role: one.ranked() for role, one in likely.items()},
        entropies=likely["model"].entropies(),
        divergences=divergences(likely["model"], likely["against"]) if "against" in likely else np.empty(0),
    )
