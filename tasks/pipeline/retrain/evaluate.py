"""Score the networks of a plan, one after the other, by the test protocol.

Writes predictions, metrics, pictures, latency, fingerprints, and Grad-CAM of mistakes.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tasks.data.clips.frame_cache import FramesAhead, cache_test_frames, rgb_frames, sharing_decoders
from tasks.errors import BadConfiguration, RetakeError
from tasks.judge.gate.error_budget import record_look
from tasks.judge.report.png_figures import clip_loss_figure, confusion_figure
from tasks.judge.statistics.answers import answers_of, to_parquet
from tasks.judge.statistics.data_checks import Fingerprint, fingerprint
from tasks.judge.statistics.data_checks import to_parquet as fingerprints_to_parquet
from tasks.judge.statistics.label_quality import audit_labels
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.mistakes import Misnamed, confusion_of, worst_misnamed
from tasks.judge.statistics.scoring import ScoredClips
from tasks.learn.engines.grad_cam import NothingToSee, activation_sheet
from tasks.learn.engines.scorer import Scorer, SharedFeatures
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory, return_freed_memory
from tasks.learn.training.linear_probe import cross_fitted
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._plans import plans_with_repeats
from tasks.pipeline._results import earlier_result, finish, log, publish_files
from tasks.pipeline._scoring import Scoring, make_ready, next_scoring
from tasks.pipeline.retrain.contract import EVALUATE, PlannedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Vocabulary
from tasks.store.records.evaluation import ActivationMap, EngineUsed, EvaluateResult, EvaluateResults, LabelAudit
from tasks.store.records.record import ROLES_IN_WORDS, ModelRole
from tasks.store.records.training import Evaluation, PlanResult
from tasks.store.run_layout import Run, Scores
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count, percent

NUM_ACTIVATION_MAPS = 4
FINGERPRINT_FRAMES = 8
MAX_AUDITED = 20_000
"""Clips of a dataset whose labels are judged; their features are in memory at once, some 16 kB each."""


def run(arguments: PlannedArguments, store: Store) -> EvaluateResults:
    """Score each network of the plan on each of its splits without a result.

    Each is logged under `<model>/<split>` of the plan's MLflow run. With engine `auto`, if one network falls back, the others are scored
    again by its engine.

    Raises:
        RetakeError: a network cannot be scored; the message names it, and its kind says whether a retry helps.
    """
    plan = store.read(arguments.planned)
    keep_to_one_gpu()
    keep_freed_memory()
    plans = plans_with_repeats(plan, store)
    scored = (evaluation for seeded in plans for evaluation in seeded.evaluations)
    used = {evaluation: result.engine for evaluation in scored if (result := earlier_result(store, Scores(evaluation.out)))}
    with sharing_decoders():
        while scoring := next_scoring(plans, used):
            plan.evaluate.require_current("the evaluation")
            network = ROLES_IN_WORDS[scoring.evaluations[0].model]
            if scoring.plan is not plan:
                network += f" with seed {scoring.plan.train.seed}"
            log.info("scoring %s%s", network, f" by {scoring.choice.engine}: {scoring.choice.reason}" if scoring.choice.reason else "")
            try:
                used |= dict.fromkeys(scoring.evaluations, _score(plan, scoring, store))
            except RetakeError as error:
                error.args = (f"{network}: {error}",)
                raise
            return_freed_memory()
    _record_looks(plan, arguments.store, store)
    return finish(
        store,
        EVALUATE.address(arguments),
        EvaluateResults(result_uris=tuple(Scores(evaluation.out).uri for evaluation in plan.evaluations)),
    )


def _record_looks(plan: PlanResult, store_uri: str, store: Store) -> None:
    """Record that the new network and its seeds were scored on clips that may decide."""
    clips = store.read(Dataset(plan.dataset_uri).manifest).clips
    is_compared = plan.decision_uri.startswith(Run(plan.run_uri).comparisons)
    for evaluation in plan.evaluations:
        # Nobody chooses among opponents.
        if evaluation.model == "fine-tuned" and evaluation.split != "train":
            record_look(
                store,
                store_uri,
                "comparison" if is_compared else "decision",
                [clip.uid for clip in clips if clip.split == evaluation.split and clip.has_action],
                plan.run_keys if evaluation.split == plan.decides_on else [plan.run_key],
                made_by=plan.decision_uri,
                model_name=plan.model_name,
                split=evaluation.split,
            )


def _score(deciding_plan: PlanResult, scoring: Scoring, store: Store) -> EngineUsed:
    """Make a network ready, score its missing splits, and return its engine.

    All networks of `deciding_plan` have the same check.
    """
    plan = scoring.plan
    # The audit on the deciding split needs the features of all others.
    missing = sorted(scoring.evaluations, key=lambda evaluation: evaluation.split == plan.decides_on)
    planned = [evaluation for evaluation in plan.evaluations if evaluation.model == missing[0].model]
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    tracker = Tracker(load(MlflowSettings))
    clips = {evaluation.split: [clip for clip in manifest.clips if clip.split == evaluation.split] for evaluation in planned}
    splits = {evaluation.split for evaluation in deciding_plan.evaluations}
    with tracked_run(tracker, plan) as run_id:
        saved = fetch_network(store, *_checkpoint(planned[0].model, plan, store))
        specs = [network.spec for network in saved.networks]
        # The first frames are decoded while one core converts the network.
        with FramesAhead(store, [clip for evaluation in missing for clip in clips[evaluation.split]], specs) as ahead:
            ready = make_ready(
                saved,
                scoring.choice,
                plan.evaluate.crops,
                list(clips.values()),
                [clip for clip in manifest.clips if clip.split == "train"],
                # All networks' clips, so that a champion, scored on fewer, gets the same engine and the same check as the others.
                checked_on=[clip for clip in manifest.clips if clip.split in splits],
                shares_features=plan.train.trainable == "heads",
                store=store,
            )
            peak: int | None = None
            for evaluation in missing:
                scored, timings = ready.score_all(
                    clips[evaluation.split], ahead, manifest.vocabulary, f" with {ROLES_IN_WORDS[evaluation.model]}"
                )
                # Before the first pictures and maps are made: the memory of scoring alone, which is equal for all splits.
                peak = peak or timings.peak_memory_bytes
                place = Scores(evaluation.out)
                files, maps = _evidence(evaluation, plan, scored, clips[evaluation.split], manifest.vocabulary, ready.scorer, ahead, store)
                result = ready.summary(
                    scored,
                    timings,
                    manifest.vocabulary,
                    model=evaluation.model,
                    split=evaluation.split,
                    crops=plan.evaluate.crops,
                    predictions_uri=place.predictions,
                    peak_memory_bytes=peak,
                    fingerprints_uri=place.fingerprints if place.fingerprints in files else None,
                    activations=maps,
                    audit=_audited(plan, manifest.clips, ready.shared) if _is_decisive(evaluation, plan) else None,
                )
                publish_files(store, place, files, tracker, run_id, f"{result.model}/{result.split}")
                tracker.log_metrics(run_id, _metrics(result))
                finish(store, place, result)
                tops = ", ".join(f"{target}s {percent(getattr(result, target).top1)}" for target in result.targets)
                log.info("%s on %d %s clips: top-1 of %s", result.model, result.num_clips, result.split, tops)
        ready.close()
    # A further seed's run in MLflow ends here, that of the decision in `register`.
    if plan is not deciding_plan:
        tracker.finish(run_id)
    return ready.engine


def _evidence(
    evaluation: Evaluation,
    plan: PlanResult,
    scored: ScoredClips,
    clips: Sequence[DatasetClip],
    vocabulary: Vocabulary,
    scorer: Scorer,
    ahead: FramesAhead,
    store: Store,
) -> tuple[dict[str, bytes], list[ActivationMap]]:
    """Make the files of one evaluation, by address, and list its Grad-CAM pictures."""
    place = Scores(evaluation.out)
    on_actions, acting = with_actions(scored, vocabulary), [clip for clip in clips if clip.has_action]
    with ThreadPoolExecutor(1, thread_name_prefix="evidence") as beside:
        # After the scoring, whose times are of the network alone. Other processes decode for them, while this thread draws.
        fingerprints = beside.submit(_fingerprints, store, clips) if evaluation.model == "fine-tuned" else None
        files = {place.predictions: to_parquet(scored, vocabulary)}
        # Confusions of untrained heads tell nothing.
        if evaluation.model != "baseline" or not plan.weights.is_chance:
            files |= {place.file(name): picture for name, picture in _pictures(on_actions, vocabulary, evaluation).items()}
    if fingerprints:
        files[place.fingerprints] = fingerprints_to_parquet(fingerprints.result())
    maps: list[ActivationMap] = []
    explained = worst_misnamed(on_actions, vocabulary, NUM_ACTIVATION_MAPS) if _is_decisive(evaluation, plan) else ()
    for wrong in explained:
        clip = acting[wrong.clip]
        if (sheet := _activation_sheet(scorer, clip, wrong, ahead)) is None:
            continue
        uri = place.activation(clip.uid, wrong.target)
        files[uri] = sheet
        maps.append(ActivationMap(uid=clip.uid, target=wrong.target, class_name=wrong.class_name, uri=uri))
    return files, maps


def _checkpoint(model: ModelRole, plan: PlanResult, store: Store) -> tuple[str, str]:
    """Find the address and SHA-256 of the network's checkpoint."""
    if model == "baseline":
        return plan.weights.uri, plan.weights.sha256
    if model == "fine-tuned":
        trained = store.read(Run(plan.run_uri).train)
        return trained.checkpoint_uri, trained.checkpoint_sha256
    opponent = plan.previous if model == "previous" else plan.champion
    assert opponent is not None  # noqa: S101 - a plan that scores a version names it
    return opponent.checkpoint_uri, opponent.checkpoint_sha256


def _fingerprints(store: Store, clips: Sequence[DatasetClip]) -> dict[str, Fingerprint]:
    """Fingerprint every clip, by uid; each core holds the frames of one clip."""
    paths = cache_test_frames(store, clips, rgb_frames(FINGERPRINT_FRAMES))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="fingerprints") as pool:
        hashes = pool.map(lambda clip: fingerprint(np.load(paths[clip.uid])), clips)
        return {clip.uid: clip_hash for clip, clip_hash in zip(clips, hashes, strict=True)}


def _is_decisive(evaluation: Evaluation, plan: PlanResult) -> bool:
    """Check whether this is the new network's evaluation on the deciding split."""
    return evaluation.model == "fine-tuned" and evaluation.split == plan.decides_on


def _activation_sheet(scorer: Scorer, clip: DatasetClip, wrong: Misnamed, ahead: FramesAhead) -> bytes | None:
    """Draw Grad-CAM for a mistake as a PNG; None if that cannot be.

    A failure is only logged: the scores are worth more. Of the networks that see pictures and have an output for the class, the one with the
    largest weight for the verb or the noun is drawn, or the first of joined ones. Without such a network there is no picture.
    """
    outputs = f"num_{wrong.target}s"
    able = [i for i, engine in enumerate(scorer.engines) if wrong.class_id < getattr((scorer.joint or engine.network).spec, outputs)]
    seeing = [i for i in able if not scorer.engines[i].network.spec.sound]
    if not seeing:
        return None
    most = max(seeing, key=lambda i: getattr(scorer.weights[i], wrong.target))
    try:
        inputs = ahead.load(clip)
        return activation_sheet(scorer.explained(most, inputs), inputs[most], wrong.target, wrong.class_id)
    except NothingToSee as error:
        log.warning("clip %s: no map of where the network looked: %s", clip.uid, error)
        return None


def _pictures(scored: ScoredClips, vocabulary: Vocabulary, evaluation: Evaluation) -> dict[str, bytes]:
    title = f"{evaluation.model} on {evaluation.split}"
    answers = answers_of(scored, vocabulary)
    pictures = {
        f"confusion_{target}s.png": confusion_figure(confusion_of(answers[target]), f"{title}: {target}s") for target in vocabulary.targets
    }
    within = scored.only(scored.has_outputs)
    if within.uids:
        pictures["loss_per_clip.png"] = clip_loss_figure(within, vocabulary, title)
    return pictures


def _metrics(result: EvaluateResult) -> dict[str, float]:
    prefix = f"{result.model}/{result.split}"
    named = ("top1", "top5", "precision_weighted", "recall_weighted", "precision_macro", "recall_macro", "majority_top1")
    scores = {f"{prefix}/{target}_{name}": getattr(getattr(result, target), name) for target in result.targets for name in named}
    measured = ("loading_median_seconds", "inference_median_seconds", "fps", "clips_per_second")
    speeds = {f"{prefix}/{name}": getattr(result.latency, name) for name in measured}
    sizes = {f"{prefix}/{name}": getattr(result, name) for name in ("num_parameters", "num_flops", "peak_memory_bytes")}
    loss = {} if result.loss is None else {f"{prefix}/loss": result.loss}
    own = {name: getattr(result.nothing, name) for name in ("recall", "false_alarms")} if result.nothing else {}
    nothing = {f"{prefix}/nothing_{name}": value for name, value in own.items() if value is not None}
    return {**scores, **speeds, **sizes, **loss, **nothing}


def _audited(plan: PlanResult, clips: Sequence[DatasetClip], shared: SharedFeatures | None) -> LabelAudit:
    """Judge the labels of all clips by probes, or say why that cannot be.

    The probes are fitted to the features that were scored. A trained backbone knows its training clips by heart, wrong labels included.

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
