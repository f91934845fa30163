"""Keep the summary of a model up to date with a decision or a rollback."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from tasks.errors import MissingObject
from tasks.judge.gate.champion import moves
from tasks.loop.summary import keep
from tasks.loop.summary_parts import (
    CHAMPION_AGAIN,
    Evidence,
    Gain,
    Score,
    Standing,
    are_of,
    champion_since,
    weak_classes,
    with_decision,
    with_scores,
)
from tasks.pipeline._plans import plans_of
from tasks.pipeline.retrain._evidence import predictions_of_actions
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.decisions import DecideResult, DecisionRecord
from tasks.store.records.evaluation import DoubtfulLabel, EvaluateResult
from tasks.store.records.record import ModelRole, now_utc
from tasks.store.records.status import ModelStatus, VersionStatus, WeakClass
from tasks.store.records.training import Champion, PlanResult
from tasks.store.run_layout import Decision, Scores
from tasks.tracking import RegisteredVersion


def keep_decision_summary(
    store: Store, store_uri: str, plan: PlanResult, decision: DecisionRecord, result: DecideResult, champion: RegisteredVersion | None
) -> None:
    """Add a decision to the summary, with the scores of its versions on today's clips."""

    def summary(earlier: ModelStatus | None) -> ModelStatus | None:
        manifest = store.read(Dataset(plan.dataset_uri).manifest)
        results = _results(store, plan)
        ours = results["fine-tuned"]
        scored = _versions(plan, results, result.version)
        best = next((role for role, version in scored.items() if version == result.champion), None)
        curve = Decision(plan.decision_uri).learning_curve
        model = with_decision(
            earlier,
            plan.model_name,
            _entry(plan, manifest, ours, decision, result.report_url),
            Standing(
                result.champion,
                champion is not None and champion.provisional,
                champion_since(moves(store, store_uri, plan.model_name), result.champion),
            ),
            Evidence(
                split=plan.decides_on,
                weak_classes=_weak_classes(store, results[best], manifest) if best else (),
                num_doubtful=ours.audit.num_doubtful if ours.audit else 0,
                gain=Gain.of(store.read(curve)) if store.exists(curve.uri) else None,
                doubtful=_doubtful(ours.audit.doubtful if ours.audit else (), manifest),
            ),
            now_utc(),
        )
        if store.read(Layout(store_uri).latest_dataset).digest != plan.dataset_digest:
            return model
        return with_scores(
            model, plan.dataset_digest, plan.decides_on, {version: Score.of(results[role]) for role, version in scored.items()}
        )

    keep(store, Layout(store_uri).status.of_model(plan.model_name).model, summary)


def keep_rollback_summary(store: Store, store_uri: str, decision: DecisionRecord) -> None:
    """Add a rollback to the summary; keep the doubtful labels and the expected gain."""

    def summary(earlier: ModelStatus | None) -> ModelStatus:
        plan = plans_of(Layout(store_uri).run(decision.run_key), store)[0]
        manifest = store.read(Dataset(plan.dataset_uri).manifest)
        scores = _results(store, plan)["fine-tuned"]
        known = next((version for version in (earlier.versions if earlier else ()) if version.version == decision.version), None)
        reason = f"Rolled back from v{decision.champion_before}: {decision.reason}" if decision.champion_before else decision.reason
        today = _weak_classes_today(store, store_uri, earlier, decision.version) if earlier else None
        move = {"event": CHAMPION_AGAIN, "at": decision.time, "reason": reason}
        entry = (known or _entry(plan, manifest, scores, decision, "")).model_copy(update=move)
        return with_decision(
            earlier,
            decision.model_name,
            entry,
            Standing(decision.version, decision.provisional, decision.time),
            Evidence(
                split=plan.decides_on,
                weak_classes=_weak_classes(store, scores, manifest) if today is None else today,
                num_doubtful=earlier.num_doubtful if earlier else 0,
                gain=Gain.kept_in(earlier),
                doubtful=earlier.doubtful if earlier else None,
            ),
            now_utc(),
        )

    keep(store, Layout(store_uri).status.of_model(decision.model_name).model, summary)


def _results(store: Store, plan: PlanResult) -> dict[ModelRole, EvaluateResult]:
    """Read the scores of the plan's networks on the deciding split."""
    return {e.model: store.read(Scores(e.out)) for e in plan.evaluations if e.split == plan.decides_on}


def _weak_classes(store: Store, result: EvaluateResult, manifest: Manifest) -> tuple[WeakClass, ...]:
    return weak_classes(predictions_of_actions(store, [result], result.split, manifest.vocabulary)[result.model], manifest)


def _weak_classes_today(store: Store, store_uri: str, earlier: ModelStatus, version: int) -> tuple[WeakClass, ...] | None:
    """Find a version's weak classes on today's clips, if a decision on them compared it."""
    for known in earlier.versions:
        plans = plans_of(Layout(store_uri).run(known.run_key), store) if known.dataset == earlier.now_dataset else ()
        for plan in (plan for plan in plans if are_of(earlier, plan.dataset_digest, plan.decides_on)):
            with suppress(MissingObject):
                results = _results(store, plan)
                versions = _versions(plan, results, known.version)
                if role := next((role for role, compared in versions.items() if compared == version), None):
                    return _weak_classes(store, results[role], store.read(Dataset(plan.dataset_uri).manifest))
    return None


def _versions(plan: PlanResult, results: Mapping[ModelRole, EvaluateResult], own: int) -> dict[ModelRole, int]:
    """Number the versions that a plan's decision compares; `own` is that of its training."""
    opponents: tuple[tuple[ModelRole, Champion | None], ...] = (("champion", plan.champion), ("previous", plan.previous))
    return {role: version.version for role, version in opponents if version and role in results} | {"fine-tuned": own}


def _doubtful(labels: Iterable[DoubtfulLabel], manifest: Manifest) -> dict[str, tuple[str, str, str, str]]:
    """Select the labels that the page Label shows: of clips of train, on the grid."""
    shown = {clip.uid for clip in manifest.clips if clip.split == "train" and clip.around is None}
    return {label.uid: (label.verb, label.noun, label.likely_verb, label.likely_noun) for label in labels if label.uid in shown}


def _entry(plan: PlanResult, manifest: Manifest, result: EvaluateResult, decision: DecisionRecord, report_url: str) -> VersionStatus:
    score = Score.of(result)
    return VersionStatus(
        version=decision.version,
        at=decision.time,
        run_key=decision.run_key,
        event="provisional" if decision.event == "promoted" and decision.provisional else decision.event,
        reason=decision.reason,
        dataset=plan.dataset_digest,
        num_labelled=len(manifest.clips),
        num_clips=result.num_clips,
        top1=score.top1,
        interval=score.interval,
        report_url=report_url,
        mlflow_run_url=decision.mlflow_run_url,
    )
