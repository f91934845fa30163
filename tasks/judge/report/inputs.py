"""Hold the inputs of a report page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.store.records.evaluation import ActivationMap
from tasks.store.records.metrics import Metrics


@dataclass(frozen=True)
class ReportInputs:
    """A run's metrics and pictures. Only `metrics` is required; the page omits or flags missing pictures.

    Attributes:
        metrics: all numbers of the page.
        sheets: JPEG contact sheets by clip uid.
        activations: class activation maps with their PNGs by clip uid.
        clips: MP4s of the worst mistakes by clip uid; for a missing clip the page gives its address.
        spectrograms: PNGs of their sound by clip uid, for a network that hears; empty bytes for a clip in which there is nothing to hear.
    """

    metrics: Metrics
    sheets: Mapping[str, bytes] = field(default_factory=dict)
    activations: Mapping[str, Sequence[tuple[ActivationMap, bytes]]] = field(default_factory=dict)
    clips: Mapping[str, bytes] = field(default_factory=dict)
    spectrograms: Mapping[str, bytes] = field(default_factory=dict)
