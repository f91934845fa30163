"""Fit the temperatures for a network's probabilities, and say where they come from."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.calibration import at_search_limit, faultless_heads, fit_temperature
from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.record import Target
from tasks.wording import count


@dataclass(frozen=True)
class Served:
    """Temperatures of both heads.

    `words` describes their origin; `crops` is the number of crops per frame of the fitted logits, None if not calibrated.
    """

    verb: float
    noun: float
    words: str
    crops: int | None

    @property
    def is_calibrated(self) -> bool:
        """Check whether they were fitted."""
        return self.crops is not None


def served(val: ScoredClips, crops: int, engine: str, targets: Collection[Target]) -> Served:
    """Fit temperatures on val clips whose classes the network can name.

    A head that cannot be fitted has temperature 1.

    Args:
        val: logits on val clips.
        crops: crops per frame of these logits.
        engine: label of the engine that computed them.
        targets: the targets of the dataset.
    """
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
