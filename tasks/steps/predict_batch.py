"""Predicts a batch of videos by both networks: cuts what was not cut before, scores clip after clip, and keeps the answers video by video."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.errors import BadCheckpoint, BadInput, BadVideo, MissingObject, RetakeError
from tasks.evaluation.latency import peak_memory_bytes
from tasks.evaluation.scoring import Logits, each_scored, require_finite
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.memory import keep_freed_memory
from tasks.options import StoreUri
from tasks.prediction.familiar import Features, distances_to_nearest, from_bytes
from tasks.prediction.scored import ScoredWriter
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
from tasks.steps._flows import shortness
from tasks.steps._frames import passing_frames
from tasks.steps._predictors import names_of, training_clips
from tasks.steps._preview import write_preview
from tasks.steps._scorers import Frames, Ready, make_ready
from tasks.steps._step import StepArguments, finish, finished, log, plain_reason, result_uri
from tasks.steps.segment import cut_video
from tasks.storage import Store
from tasks.video.memory import MemoryShares, usable_bytes

CutVideo = tuple[PredictedVideo, tuple[ClipRecord, ...]]
Answer = tuple[dict[PredictorRole, tuple[Logits, Logits]], Features]


class NotComparable(RetakeError):
    """Nothing can be read from what the second network answers; the batch goes on without it."""


class Arguments(StepArguments):
    """The plan, one of its batches, and the clips that the model knows."""

    plan: StoreUri
    batch: StoreUri
    known: StoreUri


@dataclass(frozen=True)
class Work:
    """What every video of the batch needs: `known` is (m, f), `folder` is for files, `frames` for decoded frames."""

    plan: PredictPlanResult
    known: Features | None
    folder: Path
    frames: Path
    store: Store


def run(arguments: Arguments, store: Store) -> PredictBatchResult:
    """Score every clip of the batch. A video that cannot be cut or decoded is set aside with its reason, and so is a single clip of one.

    A video is kept as soon as it is scored, so that a retry goes on with the next. Without the second network the first one goes on alone;
    where a logit of the second is not a finite number, the batch is done again without it. One of the model's costs its clip.

    Raises:
        MissingObject: the model's checkpoint is gone.
        BadCheckpoint: it is not what was recorded.
    """
    if earlier := finished(store, arguments.out, PredictBatchResult):
        return earlier
    keep_to_one_gpu()
    keep_freed_memory()
    plan = store.read(result_uri(arguments.plan), PredictPlanResult)
    videos, set_aside = _cut(plan, store.read(arguments.batch, PredictionBatch).videos, store)
    known = _known(store.read(result_uri(arguments.known), KnownClipsResult), store)
    with passing_frames() as frames, tempfile.TemporaryDirectory(prefix="retake-predict-") as name:
        work = Work(plan, known, Path(name), frames, store)
        networks, missing = _make_ready(work, [clip for _, clips in videos for clip in clips])
        try:
            found, bad = _predict_all(work, networks, videos)
        except NotComparable as error:
            log.warning("%s", error)
            missing += (str(error),)
            networks = {"model": networks["model"]}
            found, bad = _predict_all(work, networks, videos)
    return finish(
        store,
        arguments.out,
        PredictBatchResult(
            videos=tuple(video for one in found for video in one.videos),
            set_aside=(*set_aside, *bad, *(clip for one in found for clip in one.set_aside)),
            missing=missing,
            warnings=tuple(clip for one in found for clip in one.warnings),
            engines={role: ready.used for role, ready in networks.items()},
            verb_alone=_verb_alone(networks),
            scoring_seconds=sum(one.scoring_seconds for one in found),
            peak_memory_bytes=max([peak_memory_bytes(), *(one.peak_memory_bytes for one in found)]),
        ),
    )


def _verb_alone(networks: Mapping[PredictorRole, Ready]) -> tuple[PredictorRole, ...]:
    return tuple(role for role, ready in networks.items() if ready.given_noun is not None)


def _cut(plan: PredictPlanResult, videos: Sequence[PredictedVideo], store: Store) -> tuple[list[CutVideo], list[SetAside]]:
    clips, set_aside = [], []
    alone = MemoryShares(1, usable_bytes())
    for video in videos:
        try:
            record = store.read(f"{plan.store}/videos/{video.video}/probe.json", VideoRecord)
            found = cut_video(store, plan.store, record, plan.segment, alone)
            reason = found.set_aside
        except BadInput as error:
            reason = plain_reason(error)
        if reason:
            log.warning("set aside: %s: %s", video.name, reason)
            set_aside.append(SetAside(name=video.name, reason=reason))
        else:
            clips.append((video, found.clips))
    return clips, set_aside


def _make_ready(work: Work, clips: Sequence[ClipRecord]) -> tuple[dict[PredictorRole, Ready], tuple[str, ...]]:
    """The networks, whose engines are chosen for the batch as a whole, and why the second one is missing."""
    if not clips:
        return {}, ()
    plan, store = work.plan, work.store
    trained_on = training_clips(plan, store)
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
                folder=work.folder,
                frames=work.frames,
            )
        except (BadCheckpoint, MissingObject) as error:
            if role == "model":
                raise
            log.warning("%s is not compared: %s", predictor.label, error)
            missing.append(str(error))
    return networks, tuple(missing)


def _known(result: KnownClipsResult, store: Store) -> Features | None:
    """What the model knows; a file that is gone or damaged costs what is told of novelty, and no more."""
    try:
        return from_bytes(store.read_bytes(result.features_uri), result.features_uri) if result.features_uri else None
    except BadInput as error:
        log.warning("nothing is told of novelty: %s", error)
        return None


def _predict_all(
    work: Work, networks: Mapping[PredictorRole, Ready], videos: Sequence[CutVideo]
) -> tuple[list[PredictBatchResult], list[SetAside]]:
    """Predict each video; gives with them those that could not be predicted.

    Raises:
        NotComparable: a logit of the second network is not a finite number.
    """
    found: list[PredictBatchResult] = []
    set_aside: list[SetAside] = []
    for video, clips in videos:
        try:
            found.append(_predict(work, networks, video, clips))
        except BadInput as error:
            set_aside.append(SetAside(name=video.name, reason=plain_reason(error)))
            log.warning("set aside: %s: %s", video.name, error)
    return found, set_aside


def _predict(work: Work, networks: Mapping[PredictorRole, Ready], video: PredictedVideo, clips: Sequence[ClipRecord]) -> PredictBatchResult:
    """One video, kept under an address of its own; found there, it is not scored again."""
    out = f"{work.plan.prediction_uri}scored/{video.video}/"
    earlier = finished(work.store, out, PredictBatchResult)
    if earlier and earlier.engines.keys() == networks.keys():
        return earlier
    started = time.perf_counter()
    path = work.folder / f"{video.video}.parquet"
    bad = _score(work, networks, video, clips, path)
    seconds = time.perf_counter() - started
    scored = [clip for clip in clips if clip.uid not in bad]
    uri = f"{out}clips.parquet"
    work.store.write_file(uri, path)
    warnings = _shortnesses(networks, video, scored)
    preview_uri = None
    if work.plan.predict.preview:
        preview_uri = f"{work.plan.prediction_uri}previews/{video.video}.mp4"
        try:
            names = names_of(work.plan, work.store, _verb_alone(networks))
            write_preview(work.plan, scored, path, preview_uri, names, work.folder, work.store)
        except BadInput as error:
            warnings.append(SetAside(name=video.name, reason=f"there is no preview: {plain_reason(error)}"))
            log.warning("%s: there is no preview: %s", video.name, error)
            preview_uri = None
    path.unlink()
    log.info("%s: %d clips", video.name, len(scored))
    return finish(
        work.store,
        out,
        PredictBatchResult(
            videos=(ScoredVideo(video=video.video, name=video.name, num_clips=len(scored), scored_uri=uri, preview_uri=preview_uri),),
            set_aside=tuple(SetAside(name=_place(video, clip), reason=bad[clip.uid]) for clip in clips if clip.uid in bad),
            warnings=tuple(warnings),
            engines={role: ready.used for role, ready in networks.items()},
            verb_alone=_verb_alone(networks),
            scoring_seconds=seconds,
            peak_memory_bytes=peak_memory_bytes(),
        ),
    )


def _score(
    work: Work, networks: Mapping[PredictorRole, Ready], video: PredictedVideo, clips: Sequence[ClipRecord], path: Path
) -> dict[str, str]:
    """Write what the networks answer to `path`; gives by uid the clips that cannot be predicted, with the reason.

    Raises:
        BadVideo: none can be predicted.
        NotComparable: a logit of the second network is not a finite number.
    """
    bad: dict[str, str] = {}
    specs = [spec for ready in networks.values() for spec in ready.specs]
    with FramesAhead(work.store, clips, specs, work.frames) as ahead, ScoredWriter(path) as writer:

        def load_or_reason(clip: ClipRecord) -> list[Frames] | str:
            try:
                return ahead.load(clip)
            except BadInput as error:
                log.warning("set aside: %s: %s", _place(video, clip), error)
                return plain_reason(error)

        def answer(inputs: list[Frames] | str) -> Answer | str:
            return inputs if isinstance(inputs, str) else _answer(inputs, networks)

        # Left early, it would go on loading ahead in a folder that the next try uses too.
        with closing(each_scored(clips, load_or_reason, answer)) as answers:
            for one in answers:
                if isinstance(one.answer, str):
                    bad[one.clip.uid] = one.answer
                    continue
                logits, features = one.answer
                try:
                    _require_readable(one.clip, logits, work.plan)
                except BadCheckpoint as error:
                    log.warning("set aside: %s: %s", _place(video, one.clip), error)
                    bad[one.clip.uid] = plain_reason(error)
                    continue
                novelty = None if work.known is None else float(distances_to_nearest(features[None], work.known)[0])
                writer.add(one.clip, logits, features, novelty)
    if len(bad) == len(clips):
        raise BadVideo(f"none of its clips can be predicted: {next(iter(bad.values()))}")
    return bad


def _require_readable(clip: ClipRecord, logits: Mapping[PredictorRole, tuple[Logits, Logits]], plan: PredictPlanResult) -> None:
    """Refuse what no answer can be read from.

    Raises:
        BadCheckpoint: a logit of the model is not a finite number.
        NotComparable: one of the second network is not.
    """
    require_finite(clip, *logits["model"])
    if plan.against and "against" in logits:
        try:
            require_finite(clip, *logits["against"])
        except BadCheckpoint as error:
            raise NotComparable(f"{plan.against.label} is left out of one batch: {error}") from error


def _shortnesses(networks: Mapping[PredictorRole, Ready], video: PredictedVideo, clips: Sequence[ClipRecord]) -> list[SetAside]:
    """Clips with less motion than a network that sees flow looks at."""
    if not any(spec.flow for ready in networks.values() for spec in ready.specs):
        return []
    short = [SetAside(name=_place(video, clip), reason=reason) for clip in clips if (reason := shortness(clip))]
    for one in short:
        log.warning("%s: %s", one.name, one.reason)
    return short


def _place(video: PredictedVideo, clip: ClipRecord) -> str:
    """A clip as a person finds it."""
    return f"{video.name}, {clip.start_seconds:g}-{clip.stop_seconds:g} s"


def _answer(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Answer:
    """By network its logits, verb (v,) and noun (n,), and what the model's first backbone sees (f,)."""
    logits: dict[PredictorRole, tuple[Logits, Logits]] = {}
    features = np.empty(0, np.float32)
    for (role, ready), own in zip(networks.items(), _dealt(inputs, networks), strict=True):
        found, seen = ready.scorer.score_and_see(own)
        logits[role] = found.verb.numpy(), found.noun.numpy() if ready.given_noun is None else ready.given_noun
        if role == "model":
            features = seen.numpy()
    return logits, features


def _dealt(inputs: Sequence[Frames], networks: Mapping[PredictorRole, Ready]) -> Iterator[Sequence[Frames]]:
    """To each checkpoint the snippets of its own networks."""
    start = 0
    for ready in networks.values():
        yield inputs[start : start + len(ready.specs)]
        start += len(ready.specs)
