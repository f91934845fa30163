"""Promote the registered version or keep the champion, and record the decision with its reason."""

from functools import partial
from typing import Literal

from tasks.judge.gate.champion import complete_move, make_move, moves, record_decision, recorded_decision
from tasks.judge.gate.verdict import consequence_in_words
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.retrain._evidence import version_description
from tasks.pipeline.retrain._history import keep_decision_summary
from tasks.pipeline.retrain.contract import DECIDE, DecideArguments
from tasks.settings import MlflowSettings, load
from tasks.store.objects import Store
from tasks.store.records.decisions import ChampionMove, CompareResult, DecideResult, DecisionRecord, RegisterResult
from tasks.store.records.record import now_utc
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Decision, Run
from tasks.tracking import Registry, Tracker

RULES = "the gate's rules"


def run(arguments: DecideArguments, store: Store) -> DecideResult:
    """Decide once on the registered version.

    Of two runs that were compared with the same champion, one promotes; the other fails with the advice to compare again.
    """
    output = DECIDE.address(arguments)
    if earlier := earlier_result(store, output):
        return earlier
    plan = store.read(arguments.planned)
    compared = store.read(Decision(plan.decision_uri).compare)
    registered = store.read(Run(plan.run_uri).register)
    settings = load(MlflowSettings)
    tracker, registry = Tracker(settings), Registry(settings)
    earlier_moves = moves(store, arguments.store, plan.model_name)
    move = next((move for move in earlier_moves if move.key == plan.decision_uri), None)
    decision = move.decision if move else recorded_decision(store, arguments.store, plan.decision_uri)
    if decision is None:
        decision, move = _decide(arguments, plan, compared, registered, store, registry)
    if move:
        complete_move(store, arguments.store, move, registry)
    else:
        record_decision(store, arguments.store, plan.decision_uri, decision, registry)
    registry.describe(plan.model_name, registered.version, version_description(store, plan))
    tracker.set_tags(registered.mlflow_run_id, {"retake.decision": decision.event, "retake.decision_reason": decision.reason})
    tracker.finish(registered.mlflow_run_id)
    champion = registry.champion(plan.model_name)
    result = DecideResult(
        model_name=plan.model_name,
        version=registered.version,
        promoted=decision.event == "promoted",
        provisional=decision.provisional,
        champion_before=decision.champion_before,
        champion=champion.version if champion else None,
        aliases=registry.aliases(plan.model_name, registered.version),
        reason=decision.reason,
        decided_by=decision.decided_by,
        mlflow_run_id=registered.mlflow_run_id,
        mlflow_run_url=registered.mlflow_run_url,
        report_url=store.read(Decision(plan.decision_uri).report).report_url,
    )
    log.info(
        "%s version %d, decided by %s: %s: %s", result.model_name, result.version, decision.decided_by, decision.event, decision.reason
    )
    # Before the commit mark: a repeat that finds it writes nothing.
    keep_decision_summary(store, arguments.store, plan, decision, result, champion)
    return finish(store, output, result)


def _decide(
    arguments: DecideArguments, plan: PlanResult, compared: CompareResult, registered: RegisterResult, store: Store, registry: Registry
) -> tuple[DecisionRecord, ChampionMove | None]:
    """Make the decision, and the champion's move if it promotes."""
    champion = registry.champion(plan.model_name)
    current = champion.version if champion else None
    is_champion = current == registered.version
    # Attempts of older versions have no `spent`, because those versions spent no charge.
    spending = compared.attempt if compared.attempt and compared.attempt.spent is not None else None

    def record(event: Literal["promoted", "kept"], decided_by: str, reason: str) -> DecisionRecord:
        if compared.provisional:
            in_words = partial(consequence_in_words, plan.gate.promotion, passed=False, may_be_provisional=True, faces_champion=False)
            # The comparison could only say what would follow; older ones lack `consequence`, and have the sentence in `reason` alone.
            said, became = compared.consequence or in_words(), in_words(became_champion=event == "promoted" or is_champion)
            reason = reason.replace(said.rstrip("."), became.rstrip("."))
        return DecisionRecord(
            time=now_utc(),
            model_name=plan.model_name,
            version=registered.version,
            event=event,
            champion_before=current,
            champion_after=registered.version if event == "promoted" else current,
            promotion=plan.gate.promotion,
            decided_by=decided_by,
            reason=reason,
            run_key=plan.run_key,
            mlflow_run_url=registered.mlflow_run_url,
            charge=(spending.charge if spending.is_spent else 0.0) if spending else None,
            num_networks=spending.num_networks if spending else None,
            provisional=compared.provisional if event == "promoted" else is_champion and champion is not None and champion.provisional,
        )

    if not compared.passed and (is_champion or not compared.provisional):
        return record("kept", RULES, compared.reason), None
    if plan.gate.promotion == "never":
        return record("kept", "the setting promotion=never", f"registered only; the rules would let it pass: {compared.reason}"), None
    by_person = compared.awaits_approval
    decided_by = (arguments.answered_by or "a person") if by_person else RULES
    comment = f": {arguments.comment.rstrip('. ')}" if arguments.comment else ""
    would_pass = "" if compared.provisional else "the rules would let it pass: "
    if by_person and arguments.answer != "approved":
        refusals = {"rejected": "rejected", "no answer": "nobody approved it within the time limit", "not asked": "nobody was asked"}
        return record("kept", decided_by, f"{refusals[arguments.answer]}{comment}; {would_pass}{compared.reason}"), None
    reason = f"approved{comment}; {compared.reason}" if by_person else compared.reason
    promoted = record("promoted", decided_by, reason)
    if current == compared.champion_version or is_champion:
        # Fails if another run has moved the champion since the plan.
        move = make_move(store, arguments.store, plan.num_champions + 1, promoted, plan.decision_uri)
        if move:
            return promoted, move
    compared_with = f"champion version {compared.champion_version}" if compared.champion_version else "no champion"
    newest = f"{f'version {current}' if current else 'no version'} is champion"
    if current == compared.champion_version:
        newest = "another champion is being named"
    why = f"it was compared with {compared_with}, but meanwhile {newest}; start retrain with Decide again"
    log.warning("not promoted: %s", why)
    return record("kept", RULES, why), None
