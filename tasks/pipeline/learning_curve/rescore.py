"""Score earlier versions on the clips that decided last, for a history on equal terms."""

import os
from collections.abc import Sequence

from tasks.errors import BadInput, MissingObject, NothingToDo
from tasks.judge.gate.error_budget import record_look
from tasks.judge.statistics.answers import to_parquet
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.loop.summary import keep
from tasks.loop.summary_parts import Score, are_of, not_scored_now, with_scores
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._plans import PlannedTraining
from tasks.pipeline._results import LEAST_URGENT, earlier_result, finish, log
from tasks.pipeline._scoring import Choice, make_ready
from tasks.pipeline._trained import plan_of, taught_on, trained_on, unseen
from tasks.pipeline.learning_curve.contract import RESCORE, DecidedArguments
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.status import ModelStatus, RescoredVersion, RescoreResult, VersionStatus
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Run, Scores
from tasks.wording import count, percent

NUM_VERSIONS = 10


def run(arguments: DecidedArguments, store: Store) -> RescoreResult:
    """Score the latest versions of the model that the decision did not score.

    The scores are noted in the model's summary. Clips of videos that trained a version, or a network that it was made from, are left out for
    it. Each scoring is recorded as a look at these clips: a further decision on one of the versions is a choice among them.

    Raises:
        NothingToDo: the clips are not those of today any more, or no version with a checkpoint is left.
        BadConfiguration: the decision was made with an option that was removed.
        Unavailable: as the step `evaluate`.
    """
    place = RESCORE.address(arguments)
    if earlier := earlier_result(store, place):
        return earlier
    plan = store.read(arguments.planned)
    plan.evaluate.require_current("the decision")
    if store.read(Layout(arguments.store).latest_dataset).digest != plan.dataset_digest:
        raise NothingToDo("there is a newer dataset; the decision on it brings versions to its clips")
    left = _left(plan, arguments.store, store)
    if not left:
        raise NothingToDo("no earlier version with a checkpoint lacks scores on these clips")
    os.nice(LEAST_URGENT)
    keep_to_one_gpu()
    keep_freed_memory()
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    versions, scores = [], {}
    for version in left:
        try:
            rescored, result = _rescored(version, plan, manifest, arguments.store, store)
        except BadInput as error:
            log.warning("version %d is not scored: %s", version.version, error)
            continue
        versions.append(rescored)
        scores[version.version] = Score.of(result, rescored.num_left_out)

    def summary(model: ModelStatus | None) -> ModelStatus | None:
        """Add the scores, unless a decision on other clips has ended meanwhile."""
        of = plan.dataset_digest, plan.decides_on
        return with_scores(model, *of, scores) if model and are_of(model, *of) else None

    keep(store, Layout(arguments.store).status.of_model(plan.model_name).model, summary)
    return finish(store, place, RescoreResult(dataset=plan.dataset_digest, split=plan.decides_on, versions=tuple(versions)))


def _left(plan: PlanResult, store_uri: str, store: Store) -> list[VersionStatus]:
    """List the summary's versions that the plan leaves unscored and whose checkpoint is stored."""
    try:
        model = store.read(Layout(store_uri).status.of_model(plan.model_name).model)
    except MissingObject:
        return []
    if not are_of(model, plan.dataset_digest, plan.decides_on):
        raise NothingToDo("the last decision was on other clips, and earlier versions are scored on those")
    by_plan = {opponent.version for opponent in (plan.champion, plan.previous) if opponent}

    def has_checkpoint(version: VersionStatus) -> bool:
        train = Layout(store_uri).run(version.run_key).train
        return store.exists(train.uri) and store.exists(store.read(train).checkpoint_uri)

    listed = not_scored_now(model, NUM_VERSIONS)
    return [version for version in listed if version.version not in by_plan and version.run_key != plan.run_key and has_checkpoint(version)]


def _rescored(
    version: VersionStatus, plan: PlanResult, manifest: Manifest, store_uri: str, store: Store
) -> tuple[RescoredVersion, EvaluateResult]:
    """Score a version, or find the scores that an earlier try left."""
    own = Layout(store_uri).run(version.run_key)
    deciding = [clip for clip in manifest.clips if clip.split == plan.decides_on]
    clips = unseen(deciding, [*(clip for clip in trained_on(own, store) if clip.split == "train"), *taught_on(own, store)])
    acting = [clip for clip in clips if clip.has_action]
    if not acting:
        raise BadInput("it was trained on the videos of all these clips")
    run = PlannedTraining(plan.train, plan.run_key, Run(plan.run_uri))
    place = run.evaluations(plan.evaluate).scores(f"version-{version.version}", plan.decides_on)
    result = earlier_result(store, place) or _score(own, plan, clips, manifest, place, store)
    record_look(
        store,
        store_uri,
        "history",
        [clip.uid for clip in acting],
        [version.run_key],
        made_by=plan.decision_uri,
        model_name=plan.model_name,
        split=plan.decides_on,
    )
    num_left_out = sum(clip.has_action for clip in deciding) - len(acting)
    left_out = f"; {count(num_left_out, 'clip')} of videos that trained it left out" if num_left_out else ""
    log.info("version %d: %s of %s%s", version.version, percent(result.action.top1), count(len(acting), "clip"), left_out)
    rescored = RescoredVersion(version=version.version, num_clips=len(acting), num_left_out=num_left_out, scores_uri=place.uri)
    return rescored, result


def _score(own: Run, plan: PlanResult, clips: Sequence[DatasetClip], manifest: Manifest, place: Scores, store: Store) -> EvaluateResult:
    """Score a version by the test protocol of the decision, and keep its answers."""
    trained, its_plan = store.read(own.train), plan_of(own, store)
    ready = make_ready(
        fetch_network(store, trained.checkpoint_uri, trained.checkpoint_sha256),
        Choice(plan.evaluate.engine),
        plan.evaluate.crops,
        [clips],
        [clip for clip in manifest.clips if clip.split == "train"],
        checked_on=clips,
        shares_features=its_plan.train.trainable == "heads",
        store=store,
    )
    scored, result = ready.score_alone(
        clips, manifest.vocabulary, store, model="previous", split=plan.decides_on, crops=plan.evaluate.crops, uri=place.predictions
    )
    store.write_bytes(place.predictions, to_parquet(scored, manifest.vocabulary))
    return finish(store, place, result)
