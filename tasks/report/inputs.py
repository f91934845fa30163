"""Everything that a page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.results.evaluation import ActivationMap
from tasks.results.metrics import Metrics


@dataclass(frozen=True)
class ReportInputs:
    """The numbers of a run and its pictures. Only `metrics` is needed: what is missing is left out of the page, or said to be missing.

    Attributes:
        metrics: every number.
        sheets: JPEG contact sheets by clip uid.
        activations: maps with their PNGs by clip uid.
        clips: MP4s of the worst mistakes by clip uid; a clip that is not here is named by its address.
    """

    metrics: Metrics
    sheets: Mapping[str, bytes] = field(default_factory=dict)
    activations: Mapping[str, Sequence[tuple[ActivationMap, bytes]]] = field(default_factory=dict)
    clips: Mapping[str, bytes] = field(default_factory=dict)
