"""Define the comparison of a trained head with a plain probe on the same features."""

from tasks.store.records.record import Record, Target


class ProbeAnswers(Record):
    """`probe.json` beside a network's scores: how a probe answers the same clips.

    `right` has, per target, one digit per clip in the order of `uids`: 1 if the answer is right. `strengths` is the chosen C of each head.
    Records of older versions have no `uids`; their clips are those of the dataset, in its order.
    """

    uids: tuple[str, ...] | None = None
    num_training_clips: int
    strengths: dict[Target, float]
    right: dict[Target, str]


class NoProbe(Record):
    """`no_probe.json` beside a network's scores: why no probe answers, as a part of a sentence."""

    reason: str


class ProbeDifference(Record):
    """Difference in top-1 between the trained network and the probe on the same clips.

    It is the network's minus the probe's; interval and p-value as in `PairedDifference`.
    """

    target: Target
    network_top1: float
    probe_top1: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    num_clips: int
    num_sources: int
