"""Scores one network on one split by the test protocol: predictions, metrics, pictures, latency."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.evaluation.answers import answers_of
from tasks.evaluation.confusion import confusion_of
from tasks.evaluation.figures.losses import clip_loss_figure
from tasks.evaluation.figures.matrices import confusion_figure
from tasks.evaluation.metrics import summarise
from tasks.evaluation.predictions import to_parquet
from tasks.evaluation.scoring import ScoredClips, score_clips
from tasks.model.consensus import Logits
from tasks.model.engine import prepare, score
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.hardware import choose_device
from tasks.model.memory import keep_freed_memory
from tasks.options import StoreUri
from tasks.results.dataset import Manifest, Vocabulary
from tasks.results.evaluation import EvaluateResult
from tasks.results.record import TARGETS, ModelRole, SplitName
from tasks.results.training import PlanResult, TrainResult
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._networks import cache_test_frames, fetch_network
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.steps._tracked import tracked_run
from tasks.storage import Store
from tasks.tracking import Tracker


class Arguments(StepArguments):
    """One of the plan's evaluations."""

    plan: StoreUri
    model: ModelRole
    split: SplitName


def run(arguments: Arguments, store: Store) -> EvaluateResult:
    """Score the network, and log everything under `<model>/<split>` of the plan's MLflow run."""
    if earlier := finished(store, arguments.out, EvaluateResult):
        return earlier
    keep_to_one_gpu()
    keep_freed_memory()
    plan = store.read(result_uri(arguments.plan), PlanResult)
    manifest = store.read(f"{plan.dataset_uri}manifest.json", Manifest)
    tracker = Tracker.from_settings(load(MlflowSettings))
    clips = [clip for clip in manifest.clips if clip.split == arguments.split]
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-evaluate-") as name:
        folder = Path(name)
        saved = fetch_network(store, *_checkpoint(arguments.model, plan, store), folder)
        frames = cache_test_frames(store, clips, saved.network.spec.num_segments)
        network = prepare(saved.network, choose_device(load(MachineSettings).device))
        scored, timings = score_clips(
            clips,
            load=lambda clip: np.load(frames[clip.uid]),
            score=lambda images: _numpy(score(network, images, plan.evaluate.crops)),
        )
        predictions_uri = f"{arguments.out}predictions.parquet"
        result = summarise(
            scored,
            timings,
            manifest.vocabulary,
            model=arguments.model,
            split=arguments.split,
            crops=plan.evaluate.crops,
            num_segments=saved.network.spec.num_segments,
            num_resamples=plan.evaluate.bootstrap_resamples,
            predictions_uri=predictions_uri,
        )
        files = {"predictions.parquet": to_parquet(scored, manifest.vocabulary), **_pictures(scored, manifest.vocabulary, arguments)}
        evidence = folder / "evidence"
        evidence.mkdir()
        for file, data in files.items():
            store.write_bytes(f"{arguments.out}{file}", data)
            (evidence / file).write_bytes(data)
        tracker.log_artifacts(run_id, evidence, f"{arguments.model}/{arguments.split}")
        tracker.log_metrics(run_id, _metrics(result))
    log.info(
        "%s on %d %s clips: top-1 of verbs %.1f %%, nouns %.1f %%, actions %.1f %%",
        result.model,
        result.num_clips,
        result.split,
        *(100 * getattr(result, target).top1 for target in TARGETS),
    )
    return finish(store, arguments.out, result)


def _checkpoint(model: ModelRole, plan: PlanResult, store: Store) -> tuple[str, str]:
    """Address and sha256 of the network's checkpoint."""
    if model == "baseline":
        return plan.weights.uri, plan.weights.sha256
    if model == "fine-tuned":
        trained = store.read(result_uri(f"{plan.run_uri}train/"), TrainResult)
        return trained.checkpoint_uri, trained.checkpoint_sha256
    if plan.champion is None:
        raise BadConfiguration("the plan names no champion; choose --model baseline or fine-tuned")
    return plan.champion.checkpoint_uri, plan.champion.checkpoint_sha256


def _numpy(logits: Logits) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return logits.verb.numpy(), logits.noun.numpy()


def _pictures(scored: ScoredClips, vocabulary: Vocabulary, arguments: Arguments) -> dict[str, bytes]:
    title = f"{arguments.model} on {arguments.split}"
    answers = answers_of(scored, vocabulary)
    pictures = {f"confusion_{target}s.png": confusion_figure(confusion_of(answers[target]), f"{title}: {target}s") for target in TARGETS}
    return {**pictures, "loss_per_clip.png": clip_loss_figure(scored, vocabulary, title)}


def _metrics(result: EvaluateResult) -> dict[str, float]:
    prefix = f"{result.model}/{result.split}"
    named = ("top1", "top5", "precision_weighted", "recall_weighted", "precision_macro", "recall_macro", "majority_top1")
    scores = {f"{prefix}/{target}_{name}": getattr(getattr(result, target), name) for target in TARGETS for name in named}
    speeds = {f"{prefix}/{name}": getattr(result.latency, name) for name in ("loading_median_seconds", "inference_median_seconds", "fps")}
    return {**scores, **speeds, f"{prefix}/loss": result.loss}
