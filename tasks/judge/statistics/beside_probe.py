"""Compare a trained network with a plain probe on the same features."""

import numpy as np

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.probe import ProbeAnswers, ProbeDifference


def probe_differences(
    answers: ProbeAnswers, ours: ScoredClips, vocabulary: Vocabulary, *, num_resamples: int
) -> tuple[ProbeDifference, ...]:
    """Compare the trained network with the probe, on the clips of the deciding split.

    There is nothing to compare if the probe answered other clips.
    """
    if answers.uids is not None and answers.uids != ours.uids:
        return ()
    found = []
    for target, of_network in answers_of(ours, vocabulary).items():
        of_probe = np.array([digit == "1" for digit in answers.right.get(target, "")])
        if len(of_probe) != len(of_network.right):
            continue
        change = paired_change(of_network.right, of_probe, ours.sources, num_resamples=num_resamples)
        found.append(
            ProbeDifference(
                target=target,
                network_top1=float(of_network.right.mean()),
                probe_top1=float(of_probe.mean()),
                difference=change.difference,
                interval=change.interval,
                p_value=change.p_value,
                num_clips=len(of_probe),
                num_sources=change.num_sources,
            )
        )
    return tuple(found)
