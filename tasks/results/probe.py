"""Define the comparison of a trained head with a plain probe on the same features."""

from tasks.results.record import Record, Target


class ProbeAnswers(Record):
    """`probe.json` beside a network's scores: how a probe answers the same clips.

    `right` has, per target, one digit per clip in the order of the dataset: 1 if the answer is right. `strengths` is the chosen C of each head.
    """

    num_training_clips: int
    strengths: dict[Target, float]
    right: dict[Target, str]


class ProbeDifference(Record):
    """Top-1 of the trained network minus that of the probe on the same clips; interval and p-value as in `PairedDifference`."""

    target: Target
    network_top1: float
    probe_top1: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    num_clips: int
    num_sources: int
