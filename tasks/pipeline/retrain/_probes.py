"""Judge all labels by probes on the features that the network was scored on."""

from collections.abc import Sequence

import numpy as np

from tasks.errors import BadConfiguration
from tasks.judge.statistics.label_quality import audit_labels
from tasks.learn.engines.scorer import SharedFeatures
from tasks.learn.training.linear_probe import cross_fitted
from tasks.pipeline._results import log
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.evaluation import LabelAudit
from tasks.store.records.training import PlanResult
from tasks.wording import count

MAX_AUDITED = 20_000
"""Clips of a dataset whose labels are judged; their features are in memory at once, some 16 kB each."""


def audited(plan: PlanResult, clips: Sequence[DatasetClip], shared: SharedFeatures | None) -> LabelAudit:
    """Judge the labels of all clips by probes on the features that the network was scored on, or say why that cannot be.

    A backbone that was trained has learned its training clips by heart, wrong labels included.

    Raises:
        Unavailable: features are damaged; a retry computes them again.
    """
    if plan.weights.members or shared is None:
        return LabelAudit(num_clips=len(clips), reason="features of a single frozen backbone are needed")
    if len(clips) > MAX_AUDITED:
        return LabelAudit(num_clips=len(clips), reason=f"the dataset has more than {MAX_AUDITED:,} clips")
    kept = [(clip, seen) for clip in clips if (seen := shared.mean(clip.sha256)) is not None]
    if lacking := sum(clip.split == "train" for clip in clips) - sum(clip.split == "train" for clip, _ in kept):
        place = "the machine that scored the deciding clips"
        return LabelAudit(num_clips=len(clips), reason=f"{place} keeps no features of {count(lacking, 'training clip')}")
    features, sources = np.stack([seen for _, seen in kept]), [clip.source for clip, _ in kept]
    try:
        verbs, nouns = (
            cross_fitted(features, np.unique(names, return_inverse=True)[1], sources)
            for names in ([clip.verb for clip, _ in kept], [clip.noun for clip, _ in kept])
        )
    except BadConfiguration as error:
        return LabelAudit(num_clips=len(clips), reason=str(error))
    audit = audit_labels([clip for clip, _ in kept], verbs, nouns)
    log.info("doubtful labels: %d of %s", audit.num_doubtful, count(audit.num_judged, "clip"))
    return audit.model_copy(update={"num_clips": len(clips), "num_without_features": len(clips) - len(kept)})
