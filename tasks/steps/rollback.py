"""Moves the alias `champion` back to an earlier version, with a reason that is kept like any decision."""

import getpass

from pydantic import Field

from tasks.errors import BadInput, Unavailable
from tasks.options import RegisterOptions, StoreUri
from tasks.results.evaluation import DecisionRecord, RollbackResult
from tasks.settings import MlflowSettings, RunnerSettings, load
from tasks.steps._decisions import keep_decision, now_utc
from tasks.steps._promotion import follow_last_move, make_move, num_moves
from tasks.steps._step import log
from tasks.storage import Store
from tasks.tracking import Registry, Tracker

NUM_TRIES = 10


class Arguments(RegisterOptions):
    """The version to go back to, and why."""

    to: int = Field(ge=1, title="Version", description="That becomes champion again")
    reason: str = Field(min_length=3, max_length=500, title="Reason", description="In words, for those who look at the registry later")
    store: StoreUri = Field(default_factory=lambda: load(RunnerSettings).store_uri, title="Store", description="Where decisions.csv lies")


def run(arguments: Arguments, store: Store) -> RollbackResult:
    """Move the alias, whoever else moves it at the same time.

    Raises:
        BadInput: there is no such version, it is champion already, or Retake did not register it.
        Unavailable: others keep naming champions.
    """
    registry = Registry.from_settings(load(MlflowSettings))
    name, store_uri = arguments.model_name, arguments.store.rstrip("/")
    target = registry.version(name, arguments.to)
    url = Tracker.from_settings(load(MlflowSettings)).run_url(target.run_id)
    for _ in range(NUM_TRIES):
        number = num_moves(store, store_uri, name) + 1
        champion = registry.champion(name)
        before = champion.version if champion else None
        if before == target.version:
            raise BadInput(f"{name} version {target.version} is champion already")
        decision = DecisionRecord(
            time=now_utc(),
            model_name=name,
            version=target.version,
            event="rolled back",
            champion_before=before,
            champion_after=target.version,
            promotion="by hand",
            decided_by=getpass.getuser(),
            reason=arguments.reason,
            run_key=target.run_key,
            mlflow_run_url=url,
        )
        key = f"champions/{name}/{number}"
        if make_move(store, store_uri, number, decision, decision_uri=key):
            follow_last_move(store, store_uri, name, registry)
            keep_decision(store, store_uri, key, decision, registry)
            log.info("%s version %d is champion, in place of %s: %s", name, target.version, before or "none", arguments.reason)
            return RollbackResult(model_name=name, version=target.version, champion_before=before, reason=arguments.reason)
    raise Unavailable(f"the champion of {name} changes all the time; try again")
