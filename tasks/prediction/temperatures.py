"""The temperatures that a network's probabilities are served with, and where they are from."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.calibration import at_search_limit, fit_temperature
from tasks.evaluation.scoring import Logits, ScoredClips
from tasks.results.record import Target
from tasks.wording import count


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


def served(val: ScoredClips, crops: int, engine: str, targets: Collection[Target]) -> Served:
    """Temperatures from the answers on val clips whose classes the network has outputs for; 1 where these cannot tell, or for no target.

    Args:
        val: the answers.
        crops: with how many a frame they were scored.
        engine: what scored them, as people call it.
        targets: what the clips were scored on.
    """
    val = val.only(val.has_outputs)
    if not val.uids:
        return not_calibrated("it has outputs for the classes of no val clip")
    heads: dict[Target, tuple[Logits, NDArray[np.int64]]] = {
        "verb": (val.verb_logits, val.verb_classes),
        "noun": (val.noun_logits, val.noun_classes),
    }
    scored = {target: head for target, head in heads.items() if target in targets}
    fitted = {target: fit_temperature(*head) for target, head in scored.items()}
    seen = count(len(val.uids), "val clip")
    if faultless := [f"{target}s" for target, head in scored.items() if _without_mistake(*head)]:
        # The best temperature is then none at all: every guess would be served as certain.
        return not_calibrated(f"{seen} without a mistake in {' or '.join(faultless)} cannot tell how sure is too sure")
    if any(map(at_search_limit, fitted.values())):
        return not_calibrated(f"no temperature within reason suits the answers on {seen}")
    each = " and ".join(f"{temperature:.2f} ({target}s)" for target, temperature in fitted.items())
    plural = "s" if len(fitted) > 1 else ""
    words = f"temperature{plural} {each}, fitted on {seen} ({count(crops, 'crop')} a frame, {engine})"
    return Served(fitted["verb"], fitted.get("noun", 1.0), words, crops)


def not_calibrated(reason: str) -> Served:
    """The network's own probabilities, and why."""
    return Served(1.0, 1.0, f"not calibrated: {reason}", None)


def _without_mistake(logits: Logits, classes: NDArray[np.int64]) -> bool:
    return bool(np.equal(logits.argmax(axis=1), classes).all())
