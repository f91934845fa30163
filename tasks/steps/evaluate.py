"""Scores one network on one split by the test protocol: predictions, metrics, pictures, latency, fingerprints, where the network looked."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tasks.errors import BadConfiguration
from tasks.evaluation.answers import answers_of
from tasks.evaluation.confusion import confusion_of
from tasks.evaluation.figures.losses import clip_loss_figure
from tasks.evaluation.figures.matrices import confusion_figure
from tasks.evaluation.fingerprints import Fingerprint, fingerprint
from tasks.evaluation.fingerprints import to_parquet as fingerprints_to_parquet
from tasks.evaluation.gate import deciding_split
from tasks.evaluation.latency import peak_memory_bytes
from tasks.evaluation.metrics import summarise
from tasks.evaluation.misnamed import Misnamed, worst_misnamed
from tasks.evaluation.predictions import to_parquet
from tasks.evaluation.scoring import ScoredClips, score_clips
from tasks.model.complexity import complexity
from tasks.model.engines.choice import NUM_CHECKED_CLIPS, Job, spread
from tasks.model.engines.scorer import Scorer, make_scorer
from tasks.model.explain import NothingToSee, activation_sheet
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.hardware import choose_device, describe
from tasks.model.memory import keep_freed_memory
from tasks.model.spec import NetworkSpec
from tasks.options import StoreUri
from tasks.results.dataset import DatasetClip, Manifest, Vocabulary
from tasks.results.evaluation import ActivationMap, EvaluateResult
from tasks.results.record import TARGETS, ModelRole, SplitName
from tasks.results.training import PlanResult, TrainResult
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._ahead import FramesAhead
from tasks.steps._frames import cache_test_frames, load_few, rgb_frames
from tasks.steps._networks import fetch_network
from tasks.steps._scorers import NUM_CALIBRATION_CLIPS
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.steps._tracked import tracked_run
from tasks.storage import Store
from tasks.tracking import Tracker

NUM_ACTIVATION_MAPS = 4
FINGERPRINTS = "fingerprints.parquet"
FINGERPRINT_FRAMES = 8


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
        specs = [network.spec for network in saved.networks]
        scorer, used = make_scorer(saved, plan.evaluate.engine, [_job(plan, clips, manifest, store, spec) for spec in specs])
        network = scorer.engines[0].network
        with FramesAhead(store, clips, specs) as ahead:
            scored, timings = score_clips(clips, ahead.load, lambda inputs: scorer.score(inputs).numpy(), wait=ahead.wait)
            # Here, before pictures and maps are made: of the scoring alone.
            peak = peak_memory_bytes()
            files = {"predictions.parquet": to_parquet(scored, manifest.vocabulary), **_pictures(scored, manifest.vocabulary, arguments)}
            if arguments.model == "fine-tuned":
                files[FINGERPRINTS] = fingerprints_to_parquet(_fingerprints(store, clips))
            maps: list[ActivationMap] = []
            for wrong in worst_misnamed(scored, manifest.vocabulary, NUM_ACTIVATION_MAPS) if _is_explained(arguments, plan) else ():
                clip = clips[wrong.clip]
                if (sheet := _activation_sheet(scorer, clip, wrong, ahead)) is None:
                    continue
                file = f"activations/{clip.uid}-{wrong.target}.png"
                files[file] = sheet
                maps.append(ActivationMap(uid=clip.uid, target=wrong.target, class_name=wrong.class_name, uri=f"{arguments.out}{file}"))
        size = complexity(specs, plan.evaluate.crops)
        result = summarise(
            scored,
            timings,
            manifest.vocabulary,
            model=arguments.model,
            split=arguments.split,
            crops=plan.evaluate.crops,
            num_frames=sum(spec.num_frames for spec in specs),
            num_resamples=plan.evaluate.bootstrap_resamples,
            predictions_uri=f"{arguments.out}predictions.parquet",
            engine=used,
            num_parameters=size.num_parameters,
            num_flops=size.num_flops,
            peak_memory_bytes=peak,
            hardware=describe("cuda" if next(network.parameters()).is_cuda else "cpu").flat(),
            fingerprints_uri=f"{arguments.out}{FINGERPRINTS}" if FINGERPRINTS in files else None,
            activations=maps,
        )
        evidence = folder / "evidence"
        for file, data in files.items():
            store.write_bytes(f"{arguments.out}{file}", data)
            (evidence / file).parent.mkdir(parents=True, exist_ok=True)
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


def _job(plan: PlanResult, clips: list[DatasetClip], manifest: Manifest, store: Store, spec: NetworkSpec) -> Job:
    """What the engine is to score, with the few clips that it is checked and, for int8, calibrated on."""
    trained_on = [clip for clip in manifest.clips if clip.split == "train"]
    return Job(
        device=choose_device(load(MachineSettings).device),
        num_clips=len(clips),
        num_crops=plan.evaluate.crops,
        checked=lambda: load_few(store, spread(clips, NUM_CHECKED_CLIPS), spec),
        calibration=lambda: load_few(store, spread(trained_on, NUM_CALIBRATION_CLIPS), spec),
    )


def _fingerprints(store: Store, clips: list[DatasetClip]) -> dict[str, Fingerprint]:
    """Of every clip, by uid; a core holds the frames of one clip at a time. After the scoring, whose measured times are so of the network alone."""
    paths = cache_test_frames(store, clips, rgb_frames(FINGERPRINT_FRAMES))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="fingerprints") as pool:
        hashes = pool.map(lambda clip: fingerprint(np.load(paths[clip.uid])), clips)
        return {clip.uid: found for clip, found in zip(clips, hashes, strict=True)}


def _is_explained(arguments: Arguments, plan: PlanResult) -> bool:
    """Whether this is the evaluation that a person looks at to see where the new network looks."""
    return arguments.model == "fine-tuned" and arguments.split == deciding_split([evaluation.split for evaluation in plan.evaluations])


def _activation_sheet(scorer: Scorer, clip: DatasetClip, wrong: Misnamed, ahead: FramesAhead) -> bytes | None:
    """Where the network saw what it named wrong, as PNG; None, with a warning, where that cannot be drawn: the scores are worth more.

    Of several networks, the one that counts most for the verb or the noun is looked into.
    """
    most = max(range(len(scorer.engines)), key=lambda i: getattr(scorer.weights[i], wrong.target))
    try:
        return activation_sheet(scorer.engines[most].network, ahead.load(clip)[most], wrong.target, wrong.class_id)
    except NothingToSee as error:
        log.warning("clip %s: no map of where the network looked: %s", clip.uid, error)
        return None


def _pictures(scored: ScoredClips, vocabulary: Vocabulary, arguments: Arguments) -> dict[str, bytes]:
    title = f"{arguments.model} on {arguments.split}"
    answers = answers_of(scored, vocabulary)
    pictures = {f"confusion_{target}s.png": confusion_figure(confusion_of(answers[target]), f"{title}: {target}s") for target in TARGETS}
    return {**pictures, "loss_per_clip.png": clip_loss_figure(scored, vocabulary, title)}


def _metrics(result: EvaluateResult) -> dict[str, float]:
    prefix = f"{result.model}/{result.split}"
    named = ("top1", "top5", "precision_weighted", "recall_weighted", "precision_macro", "recall_macro", "majority_top1")
    scores = {f"{prefix}/{target}_{name}": getattr(getattr(result, target), name) for target in TARGETS for name in named}
    measured = ("loading_median_seconds", "inference_median_seconds", "fps", "clips_per_second")
    speeds = {f"{prefix}/{name}": getattr(result.latency, name) for name in measured}
    sizes = {f"{prefix}/{name}": getattr(result, name) for name in ("num_parameters", "num_flops", "peak_memory_bytes")}
    return {**scores, **speeds, **sizes, f"{prefix}/loss": result.loss}
