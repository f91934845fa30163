"""Judge a network beside a plain probe, and all labels by probes, on the features that the network was scored on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.judge.statistics.label_quality import audit_labels
from tasks.learn.engines.scorer import SharedFeatures
from tasks.learn.training.cached_heads import fit_beside
from tasks.learn.training.linear_probe import cross_fitted
from tasks.options import FEW_CLIPS, Head
from tasks.pipeline._results import log
from tasks.pipeline._training import fetch_inputs
from tasks.store.objects import Store, to_json
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.evaluation import LabelAudit
from tasks.store.records.training import NoProbe, PlanResult, ProbeAnswers
from tasks.store.runs import Scores
from tasks.wording import count

MAX_AUDITED = 20_000
"""Clips of a dataset whose labels are judged; their features are in memory at once, some 16 kB each."""


def beside_probe(
    place: Scores,
    plan: PlanResult,
    manifest: Manifest,
    clips: Sequence[DatasetClip],
    shared: SharedFeatures | None,
    store: Store,
    folder: Path,
) -> dict[str, bytes]:
    """Make the file of a probe's answers, or of the reason why there are none.

    It answers `clips` from the features that the network was scored on. There is no file where no comparison is due: many training clips, a
    fusion, a probe itself, or a backbone that was trained.

    Raises:
        Unavailable: inputs cannot be fetched now, or features are damaged; a retry compares them.
    """
    num_training_clips = sum(clip.split == "train" for clip in manifest.clips)
    is_few = 0 < num_training_clips < FEW_CLIPS
    if plan.weights.members or plan.train.trainable != "heads" or plan.train.head is Head.PROBE or not is_few:
        return {}
    try:
        return {place.probe.uri: to_json(_answers(plan, manifest, clips, shared, store, folder))}
    except (BadConfiguration, BadInput, NothingToDo) as error:
        log.warning("the report does not compare the network with a plain probe: %s", error)
        return {place.no_probe.uri: to_json(NoProbe(reason=str(error)))}


def _answers(
    plan: PlanResult, manifest: Manifest, clips: Sequence[DatasetClip], shared: SharedFeatures | None, store: Store, folder: Path
) -> ProbeAnswers:
    """Fit a probe, and let it answer.

    Raises:
        NothingToDo: features of the clips are not kept.
        BadConfiguration, BadInput, Unavailable: as `fit_beside`.
    """
    if shared is None:
        raise NothingToDo(f"features of engine {plan.evaluate.engine} are of no use to a probe; choose another engine")
    seen = [features for clip in clips if (features := shared.mean(clip.sha256)) is not None]
    if len(seen) < len(clips):
        raise NothingToDo(f"features of {count(len(clips) - len(seen), 'clip')} were not kept; the log of the step evaluate says why")
    job, _ = fetch_inputs(plan, manifest, store, folder, devices=1)
    probe = fit_beside(replace(job, num_workers=0))
    verbs, nouns = probe.predict(np.stack(seen))
    verb_right = verbs == np.array([clip.verb_class for clip in clips])
    right = {"verb": verb_right}
    if nouns is not None:
        noun_right = nouns == np.array([clip.noun_class for clip in clips])
        right |= {"noun": noun_right, "action": verb_right & noun_right}
    return ProbeAnswers(
        uids=tuple(clip.uid for clip in clips),
        num_training_clips=len(job.train),
        strengths=dict(zip(("verb", "noun"), probe.strengths, strict=False)),
        right={
            target: "".join(str(int(is_right)) for is_right in right[target]) for target in manifest.vocabulary.targets if target in right
        },
    )


def audited(plan: PlanResult, clips: Sequence[DatasetClip], shared: SharedFeatures | None) -> LabelAudit:
    """Judge the labels of all clips by probes on the features that the network was scored on, or say why that cannot be.

    A backbone that was trained has learned its training clips by heart, wrong labels included.

    Raises:
        Unavailable: features are damaged; a retry computes them again.
    """
    if plan.weights.members or plan.train.trainable != "heads" or shared is None:
        return LabelAudit(num_clips=len(clips), reason="features of a single frozen backbone are needed, in an engine other than int8")
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
