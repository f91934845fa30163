"""What the networks hold likely of clips of one video, at their temperatures.

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
"""By network, that of its verb head and that of its noun head."""


@dataclass(frozen=True)
class Answered:
    """What the networks hold likely.

    Attributes:
        ranked: by network and target the best classes.
        entropies: (n,) of the model's actions, as a share of the largest there can be.
        divergences: (n,) Jensen-Shannon divergence of the two networks in bits; empty without a second one.
    """

    ranked: dict[PredictorRole, dict[Target, Ranked]]
    entropies: NDArray[np.float64]
    divergences: NDArray[np.float64]


def answered(clips: ScoredVideoClips, temperatures: Temperatures, targets: Collection[Target]) -> Answered:
    """Probabilities from logits; where nouns are no target, there is one, and it is certain."""
    no_doubt = np.zeros((len(clips.uids), 1), np.float32)
    likely = {
        role: distributions(verbs, nouns if "noun" in targets else no_doubt, *temperatures[role])
        for role, (verbs, nouns) in clips.logits.items()
    }
    return Answered(
        ranked={role: one.ranked() for role, one in likely.items()},
        entropies=likely["model"].entropies(),
        divergences=divergences(likely["model"], likely["against"]) if "against" in likely else np.empty(0),
    )
