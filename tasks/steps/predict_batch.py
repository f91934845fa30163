"""Predicts a batch of videos by both networks: cuts what was not cut before, scores clip after clip, and keeps the answers video by video."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.errors import BadInput
from tasks.evaluation.latency import peak_memory_bytes
from tasks.evaluation.prediction.familiar import Features, distances_to_nearest, from_bytes
from tasks.evaluation.prediction.scored import ScoredWriter
from tasks.evaluation.scoring import Logits, each_scored, require_finite
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.memory import keep_freed_memory
from tasks.options import StoreUri
from tasks.results.prediction import (
    KnownClipsResult,
    PredictBatchResult,
    PredictedVideo,
    PredictionBatch,
    PredictorRole,
    PredictPlanResult,
    ScoredVideo,
)
from tasks.results.record import SetAside
from tasks.results.video import ClipRecord, VideoRecord
from tasks.steps._ahead import FramesAhead
from tasks.steps._predictors import manifests, predictors
from tasks.steps._preview import write_preview
from tasks.steps._scorers import Frames, Ready, make_ready
from tasks.steps._step import StepArguments, finish, finished, log, plain_reason, result_uri
from tasks.steps.segment import cut_video
from tasks.storage import Store

Answer = tuple[dict[PredictorRole, tuple[Logits, Logits]], Features]


class Arguments(StepArguments):
    """The plan, one of its batches, and the clips that the model knows."""

    plan: StoreUri
    batch: StoreUri
    known: StoreUri


def run(arguments: Arguments, store: Store) -> PredictBatchResult:
    """Score every clip of the batch. A video that cannot be cut or decoded is set aside with its reason; the rest goes on."""
    if earlier := finished(store, arguments.out, PredictBatchResult):
        return earlier
    keep_to_one_gpu()
    keep_freed_memory()
    plan = store.read(result_uri(arguments.plan), PredictPlanResult)
    clips, set_aside = _cut(plan, store.read(arguments.batch, PredictionBatch).videos, store)
    networks = _make_ready(plan, [clip for _, found in clips for clip in found], store)
    known = _known(store.read(result_uri(arguments.known), KnownClipsResult), store)
    scored: list[ScoredVideo] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="retake-predict-") as name:
        for video, found in clips:
            try:
                scored.append(_predict(plan, video, found, networks, known, Path(name), store))
            except BadInput as error:
                set_aside.append(SetAside(name=video.name, reason=plain_reason(error)))
                log.warning("set aside: %s: %s", video.name, error)
    return finish(
        store,
        arguments.out,
        PredictBatchResult(
            videos=tuple(scored),
            set_aside=tuple(set_aside),
            engines={role: ready.used for role, ready in networks.items()},
            scoring_seconds=time.perf_counter() - started,
            peak_memory_bytes=peak_memory_bytes(),
        ),
    )


def _cut(
    plan: PredictPlanResult, videos: Sequence[PredictedVideo], store: Store
) -> tuple[list[tuple[PredictedVideo, tuple[ClipRecord, ...]]], list[SetAside]]:
    clips, set_aside = [], []
    for video in videos:
        record = store.read(f"{plan.store}/videos/{video.video}/probe.json", VideoRecord)
        found = cut_video(store, plan.store, record, plan.segment)
        if found.set_aside:
            log.warning("set aside: %s: %s", video.name, found.set_aside)
            set_aside.append(SetAside(name=video.name, reason=found.set_aside))
        else:
            clips.append((video, found.clips))
    return clips, set_aside


def _make_ready(plan: PredictPlanResult, clips: Sequence[ClipRecord], store: Store) -> dict[PredictorRole, Ready]:
    if not clips:
        return {}
    trained_on = [clip for manifest in manifests(plan, store)[:1] for clip in manifest.clips if clip.split == "train"]
    with tempfile.TemporaryDirectory(prefix="retake-predict-") as name:
        return {
            role: make_ready(
                predictor,
                clips,
                trained_on,
                wanted=plan.evaluate.engine,
                num_crops=plan.evaluate.crops,
                store=store,
                folder=Path(name),
            )
            for role, predictor in predictors(plan).items()
        }


def _known(result: KnownClipsResult, store: Store) -> Features | None:
    return from_bytes(store.read_bytes(result.features_uri), result.features_uri) if result.features_uri else None


def _predict(
    plan: PredictPlanResult,
    video: PredictedVideo,
    clips: Sequence[ClipRecord],
    networks: Mapping[PredictorRole, Ready],
    known: Features | None,
    folder: Path,
    store: Store,
) -> ScoredVideo:
    path = folder / f"{video.video}.parquet"
    with FramesAhead(store, clips, [spec for ready in networks.values() for spec in ready.specs]) as ahead, ScoredWriter(path) as writer:
        for one in each_scored(clips, ahead.load, lambda inputs: _answer(inputs, networks), wait=ahead.wait):
            logits, features = one.answer
            require_finite(one.clip, *(values for both in logits.values() for values in both))
            writer.add(one.clip, logits, features, None if known is None else float(distances_to_nearest(features[None], known)[0]))
    uri = f"{plan.prediction_uri}scored/{video.video}.parquet"
    store.write_file(uri, path)
    preview_uri = None
    if plan.predict.preview:
        preview_uri = f"{plan.prediction_uri}previews/{video.video}.mp4"
        write_preview(plan, clips, path, preview_uri, folder, store)
    path.unlink()
    log.info("%s: %d clips", video.name, len(clips))
    return ScoredVideo(video=video.video, name=video.name, num_clips=len(clips), scored_uri=uri, preview_uri=preview_uri)


def _answer(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Answer:
    """By network its logits, verb (v,) and noun (n,), and what the model's first backbone sees (f,)."""
    logits: dict[PredictorRole, tuple[Logits, Logits]] = {}
    features = np.empty(0, np.float32)
    for (role, ready), own in zip(networks.items(), _dealt(inputs, networks), strict=True):
        found, seen = ready.scorer.score_and_see(own)
        logits[role] = found.verb.numpy(), found.noun.numpy()
        if role == "model":
            features = seen.numpy()
    return logits, features


def _dealt(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Iterator[Sequence[Frames]]:
    """To each checkpoint the snippets of its own networks."""
    start = 0
    for ready in networks.values():
        yield inputs[start : start + len(ready.specs)]
        start += len(ready.specs)
