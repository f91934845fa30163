"""Ask a teacher for its answers, once and ahead of its student's training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.data.clips.clips import StoredClip
from tasks.data.clips.frame_cache import FramesAhead, cache_train_frames
from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.inputs.describe_sound import describer
from tasks.learn.training.distillation import Teaching
from tasks.learn.training.job import TrainJob
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._step import log
from tasks.pipeline.retrain._ready import Choice, make_ready
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.training import PlanResult
from tasks.store.runs import Run


def taught(job: TrainJob, labelled: Sequence[DatasetClip], plan: PlanResult, store: Store, folder: Path) -> TrainJob:
    """Add the unlabelled clips to a job, and the teacher's answers to all clips.

    Args:
        job: of the student, on the labelled clips alone.
        labelled: the clips of its `train`, in this order.
        plan: of the student.
        store: of the clips and the teacher.
        folder: for the teacher's checkpoint.
    """
    unlabelled = store.read(Run(plan.run_uri).train.unlabelled).clips
    frames = cache_train_frames(store, unlabelled, job.network.spec, plan.train, describer) if unlabelled else {}
    more = [CachedClip(frames[clip.uid], NO_LABEL, NO_LABEL, clip.video) for clip in unlabelled]
    return replace(job, train=[*job.train, *more], teaching=_answers(plan, labelled, [*labelled, *unlabelled], store, folder))


def _answers(plan: PlanResult, labelled: Sequence[DatasetClip], clips: Sequence[StoredClip], store: Store, folder: Path) -> Teaching:
    """Compute the teacher's logits of centre crops, and a single network's mean features."""
    assert plan.teacher is not None  # noqa: S101 - for mypy; the caller has checked it
    (own := folder / "teacher").mkdir()
    ready = make_ready(
        fetch_network(store, plan.teacher.checkpoint_uri, plan.teacher.checkpoint_sha256, own),
        Choice(plan.evaluate.engine),
        plan.evaluate.model_copy(update={"crops": 1}),
        [],
        labelled,
        checked_on=labelled,
        shares_features=False,
        store=store,
    )
    with FramesAhead(store, clips, ready.specs, describer=describer) as ahead:
        answers = [ready.scorer.score_and_see(ahead.load(clip)) for clip in clips]
    ready.close()
    log.info("the teacher answered %d clips by %s", len(clips), ready.engine.label)
    return Teaching.of(answers, is_hint=len(ready.specs) == 1)
