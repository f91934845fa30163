"""Predict a batch of videos by both networks: cut, score, and store the answers."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.data.clips.cut_videos import cut_video
from tasks.data.clips.frame_cache import passing_frames
from tasks.data.video.child import MemoryShares, usable_bytes
from tasks.errors import BadCheckpoint, BadInput, MissingObject
from tasks.judge.statistics.scoring import peak_memory_bytes
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.predict_videos._chosen import dataset_clips
from tasks.pipeline.predict_videos._engines import Ready, make_ready
from tasks.pipeline.predict_videos._one_video import NotComparable, Work, predict_video, verb_alone, without_windows
from tasks.pipeline.predict_videos.contract import PREDICT_BATCH, PredictBatchArguments
from tasks.predict.to_label import Features, from_bytes
from tasks.store.derived import prediction_of_plan
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.prediction import (
    KnownClipsResult,
    PredictBatchResult,
    PredictedVideo,
    PredictionBatch,
    PredictorRole,
    PredictPlanResult,
)
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord
from tasks.wording import plain_reason

CutVideo = tuple[PredictedVideo, tuple[ClipRecord, ...]]


def run(arguments: PredictBatchArguments, store: Store) -> PredictBatchResult:
    """Score every clip of the batch; set failed videos and clips aside with their reasons.

    A video is kept as soon as it is scored, so that a retry continues with the next. If the second network is missing, the first goes on
    alone. If a logit of the second is not finite, the batch is scored again without it; one of the model drops only that clip.

    Raises:
        MissingObject: the model's checkpoint is gone.
        BadCheckpoint: its hash is not the recorded one.
    """
    output = PREDICT_BATCH.address(arguments)
    if earlier := earlier_result(store, output):
        return earlier
    keep_to_one_gpu()
    keep_freed_memory()
    plan = store.read(arguments.planned)
    plan.evaluate.require_current("the prediction")
    videos, set_aside = _cut(plan, store.read(arguments.batch, PredictionBatch).videos, store)
    known = _known(store.read(prediction_of_plan(arguments.plan).known), store)
    with passing_frames() as frames, tempfile.TemporaryDirectory(prefix="retake-predict-") as name:
        work = Work(plan, known, Path(name), frames, store)
        networks, missing = _make_ready(work, [clip for _, clips in videos for clip in clips])
        missing += without_windows(plan, networks)
        try:
            results, bad = _predict_all(work, networks, videos)
        except NotComparable as error:
            log.warning("%s", error)
            missing += (str(error),)
            networks = {"model": networks["model"]}
            results, bad = _predict_all(work, networks, videos)
    return finish(
        store,
        output,
        PredictBatchResult(
            videos=tuple(video for result in results for video in result.videos),
            set_aside=(*set_aside, *bad, *(clip for result in results for clip in result.set_aside)),
            missing=missing,
            warnings=tuple(clip for result in results for clip in result.warnings),
            engines={role: ready.used for role, ready in networks.items()},
            verb_alone=verb_alone(networks),
            scoring_seconds=sum(result.scoring_seconds for result in results),
            peak_memory_bytes=max([peak_memory_bytes(), *(result.peak_memory_bytes for result in results)]),
        ),
    )


def _cut(plan: PredictPlanResult, videos: Sequence[PredictedVideo], store: Store) -> tuple[list[CutVideo], list[SetAside]]:
    clips, set_aside = [], []
    alone = MemoryShares(1, usable_bytes())
    for video in videos:
        try:
            record = store.read(Layout(plan.store).video(video.video).probe)
            cut = cut_video(store, plan.store, record, plan.segment, alone)
            reason = cut.set_aside
        except BadInput as error:
            reason = plain_reason(error)
        if reason:
            log.warning("set aside: %s: %s", video.name, reason)
            set_aside.append(SetAside(name=video.name, reason=reason))
        else:
            clips.append((video, cut.clips))
    return clips, set_aside


def _make_ready(work: Work, clips: Sequence[ClipRecord]) -> tuple[dict[PredictorRole, Ready], tuple[str, ...]]:
    """Make the networks ready for the whole batch; explain why the second one is missing."""
    if not clips:
        return {}, ()
    plan, store = work.plan, work.store
    trained_on = [clip for clip in dataset_clips(plan, store) if clip.split == "train"]
    networks: dict[PredictorRole, Ready] = {}
    missing = []
    for role, predictor in plan.predictors.items():
        try:
            networks[role] = make_ready(
                predictor,
                clips,
                trained_on,
                wanted=plan.evaluate.engine,
                num_crops=plan.evaluate.crops,
                store=store,
                frames=work.frames,
            )
        except (BadCheckpoint, MissingObject) as error:
            if role == "model":
                raise
            log.warning("%s is not compared: %s", predictor.label, error)
            missing.append(str(error))
    return networks, tuple(missing)


def _known(result: KnownClipsResult, store: Store) -> Features | None:
    """Read the features of known clips; without them, skip novelty."""
    try:
        return from_bytes(store.read_bytes(result.features_uri), result.features_uri) if result.features_uri else None
    except BadInput as error:
        log.warning("novelty is skipped: %s", error)
        return None


def _predict_all(
    work: Work, networks: Mapping[PredictorRole, Ready], videos: Sequence[CutVideo]
) -> tuple[list[PredictBatchResult], list[SetAside]]:
    """Predict each video; return the results, and the videos that failed.

    Raises:
        NotComparable: a logit of the second network is not finite.
    """
    results: list[PredictBatchResult] = []
    set_aside: list[SetAside] = []
    for video, clips in videos:
        try:
            results.append(predict_video(work, networks, video, clips))
        except BadInput as error:
            set_aside.append(SetAside(name=video.name, reason=plain_reason(error)))
            log.warning("set aside: %s: %s", video.name, error)
    return results, set_aside
