"""Move the alias `champion` back to an earlier version, and record the reason."""

from tasks.judge.gate.champion import roll_back
from tasks.pipeline._results import log
from tasks.pipeline.retrain._history import keep_rollback_summary
from tasks.pipeline.retrain.contract import RollbackArguments
from tasks.settings import MlflowSettings, load
from tasks.store.objects import Store
from tasks.store.records.decisions import RollbackResult
from tasks.tracking import Registry, Tracker


def run(arguments: RollbackArguments, store: Store) -> RollbackResult:
    """Move the alias; raises as `roll_back` does."""
    settings = load(MlflowSettings)
    registry, tracker = Registry(settings), Tracker(settings)
    decision = roll_back(
        arguments.model_name, arguments.to, reason=arguments.reason, by=arguments.by, store=store, registry=registry, tracker=tracker
    )
    if store_uri := registry.store_of(decision.model_name):
        keep_rollback_summary(store, store_uri, decision)
    log.info(
        "%s version %d is champion, in place of %s: %s", decision.model_name, decision.version, decision.champion_before, decision.reason
    )
    return RollbackResult(
        model_name=decision.model_name, version=decision.version, champion_before=decision.champion_before, reason=decision.reason
    )
