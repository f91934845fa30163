"""The temperatures that a network's probabilities are served with, and where they are from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.calibration import at_search_limit, fit_temperature
from tasks.evaluation.scoring import Logits, ScoredClips
from tasks.evaluation.wording import count


@dataclass(frozen=True)
class Served:
    """What logits are divided by; `words` say why these, `crops` with how many a frame the clips were scored that they were fitted on."""

    verb: float
    noun: float
    words: str
    crops: int | None

    @property
    def is_calibrated(self) -> bool:
        """Whether they were fitted."""
        return self.crops is not None


def served(val: ScoredClips, crops: int, engine: str) -> Served:
    """Temperatures from a network's answers on val; 1 where these cannot tell one.

    Args:
        val: the answers.
        crops: with how many a frame they were scored.
        engine: what scored them, as people call it.
    """
    verb, noun = fit_temperature(val.verb_logits, val.verb_classes), fit_temperature(val.noun_logits, val.noun_classes)
    seen = count(len(val.uids), "val clip")
    faultless = [
        target
        for target, logits, classes in (("verbs", val.verb_logits, val.verb_classes), ("nouns", val.noun_logits, val.noun_classes))
        if _without_mistake(logits, classes)
    ]
    if faultless:
        # The best temperature is then none at all: every guess would be served as certain.
        return not_calibrated(f"{seen} without a mistake in {' or '.join(faultless)} cannot tell how sure is too sure")
    if at_search_limit(verb) or at_search_limit(noun):
        return not_calibrated(f"no temperature within reason suits the answers on {seen}")
    words = f"temperatures {verb:.2f} (verbs) and {noun:.2f} (nouns), fitted on {seen} ({count(crops, 'crop')} a frame, {engine})"
    return Served(verb, noun, words, crops)


def not_calibrated(reason: str) -> Served:
    """The network's own probabilities, and why."""
    return Served(1.0, 1.0, f"not calibrated: {reason}", None)


def _without_mistake(logits: Logits, classes: NDArray[np.int64]) -> bool:
    return bool(np.equal(logits.argmax(axis=1), classes).all())
