"""Let a plain probe answer beside a trained network, where training clips are few."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.learn.engines.shared import SharedFeatures
from tasks.learn.training.cached_heads import fit_beside
from tasks.options import FEW_CLIPS, Head
from tasks.pipeline._step import log
from tasks.pipeline._training import fetch_inputs
from tasks.store.objects import Store, to_json
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.probe import NoProbe, ProbeAnswers
from tasks.store.records.training import PlanResult
from tasks.store.runs import Scores
from tasks.wording import count


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
        right={target: "".join(str(int(one)) for one in right[target]) for target in manifest.vocabulary.targets if target in right},
    )
