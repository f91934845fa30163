"""The temperatures that a network's probabilities are served with, and where they are from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.calibration import at_search_limit, fit_temperature
from tasks.evaluation.scoring import Logits, ScoredClips
from tasks.evaluation.wording import count


@dataclass(frozen=True)
class Served:
    """What logits are divided by; `words` say why these."""

    verb: float
    noun: float
    is_calibrated: bool
    words: str


def served(val: ScoredClips | None) -> Served:
    """Temperatures from a network's answers on val; 1 without such answers, or where these cannot tell one."""
    if val is None:
        return Served(1.0, 1.0, False, "not calibrated: no answers on val clips are in the store")
    verb, noun = fit_temperature(val.verb_logits, val.verb_classes), fit_temperature(val.noun_logits, val.noun_classes)
    seen = count(len(val.uids), "val clip")
    if _without_mistake(val.verb_logits, val.verb_classes) or _without_mistake(val.noun_logits, val.noun_classes):
        # The best temperature is then none at all: every guess would be served as certain.
        return Served(1.0, 1.0, False, f"not calibrated: {seen} without a mistake cannot tell how sure is too sure")
    if at_search_limit(verb) or at_search_limit(noun):
        return Served(1.0, 1.0, False, f"not calibrated: no temperature within reason suits the answers on {seen}")
    return Served(verb, noun, True, f"temperatures {verb:.2f} (verbs) and {noun:.2f} (nouns), fitted on {seen}")


def _without_mistake(logits: Logits, classes: NDArray[np.int64]) -> bool:
    return bool(np.equal(logits.argmax(axis=1), classes).all())
