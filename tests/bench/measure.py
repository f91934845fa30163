"""How variants are measured side by side, and what a row of the table holds."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

Measure = Callable[[], object]
"""Does its work once. A float that it returns is the measured value; else this is the seconds that it took."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what `--only` calls it.
        title: what is measured.
        unit: of the values, as in s or MiB.
        values: by variant, one value a repetition, repetitions in the same order for all.
        reference: the variant that the others are set against.
        target: what was promised, in words.
        limit: what no program could beat on this machine, or what the variant does besides, in words.
        how: what exactly was measured.
    """

    name: str
    title: str
    unit: str
    values: Mapping[str, Sequence[float]]
    reference: str
    target: str = ""
    limit: str = ""
    how: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    def quartiles(self, variant: str) -> tuple[float, float, float]:
        """25 %, median and 75 % of a variant's values."""
        low, middle, high = np.percentile(self.values[variant], (25, 50, 75))
        return float(low), float(middle), float(high)

    def ratio(self, variant: str) -> float:
        """The median over repetitions of this variant's value to the reference's of the same repetition, whose noise they share."""
        pairs = zip(self.values[variant], self.values[self.reference], strict=True)
        return float(np.median([one / other if other else np.nan for one, other in pairs]))

    def as_json(self) -> dict[str, object]:
        """Everything, with the figures of the table beside the values."""
        described = asdict(self)
        del described["values"], described["notes"]
        variants = {}
        for name, values in self.values.items():
            low, middle, high = self.quartiles(name)
            own = {"values": list(map(float, values)), "q25": low, "median": middle, "q75": high}
            variants[name] = {**own, "ratio_to_reference": self.ratio(name), "note": self.notes.get(name, "")}
        return {**described, "variants": variants}


def alternate(variants: Mapping[str, Measure], repetitions: int) -> dict[str, list[float]]:
    """Run every variant once a repetition, each time from another one on, so that noise and warmth hit all alike.

    Return one value a repetition by variant, in the order given.
    """
    values: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            measured = variants[name]()
            values[name].append(measured if isinstance(measured, float) else time.perf_counter() - started)
    return values


def processor_seconds() -> float:
    """The processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
