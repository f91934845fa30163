"""Moves the alias `champion` back to an earlier version, with a reason that is kept like any decision."""

import getpass

from pydantic import Field

from tasks.errors import BadInput, Unavailable
from tasks.options import RegisterOptions
from tasks.results.evaluation import ChampionMove, DecisionRecord, RollbackResult
from tasks.results.record import now_utc
from tasks.settings import MlflowSettings, load
from tasks.steps._promotion import complete_last_move, complete_move, make_move, moves
from tasks.steps._step import log
from tasks.storage import Store
from tasks.tracking import RegisteredVersion, Registry, Tracker

NUM_TRIES = 10


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user that the system has no name for
        return "a person at a shell"


class Arguments(RegisterOptions):
    """The version to go back to, and why."""

    to: int = Field(ge=1, title="Version", description="That was champion before and becomes it again")
    reason: str = Field(min_length=3, max_length=500, title="Reason", description="In words, for those who look at the registry later")
    by: str = Field(default_factory=_user, min_length=1, max_length=100, title="Who", description="Is kept with the reason")


def run(arguments: Arguments, store: Store) -> RollbackResult:
    """Move the alias, whoever else moves it at the same time. One that was cut off is completed when it is tried again.

    Raises:
        BadInput: there is no such version, it is champion already, it never was, or its checkpoint is gone.
        Unavailable: others keep naming champions.
    """
    settings = load(MlflowSettings)
    registry, tracker = Registry.from_settings(settings), Tracker.from_settings(settings)
    name = arguments.model_name
    store_uri = registry.kept_by(name)
    if store_uri is None:
        raise BadInput(f"Retake has decided nothing on a registered model {name}; see --model-name")
    completed = complete_last_move(store, store_uri, name, registry)
    if completed and completed.decision.version == arguments.to:
        return _result(completed)
    target = registry.version(name, arguments.to)
    url = tracker.run_url(target.run_id)
    for _ in range(NUM_TRIES):
        earlier = moves(store, store_uri, name)
        champion = registry.champion(name)
        _require_possible(target, name, champion, earlier, store)
        decision = DecisionRecord(
            time=now_utc(),
            model_name=name,
            version=target.version,
            event="rolled back",
            champion_before=champion.version if champion else None,
            champion_after=target.version,
            promotion="by hand",
            decided_by=arguments.by,
            reason=arguments.reason,
            run_key=target.run_key,
            mlflow_run_url=url,
        )
        number = len(earlier) + 1
        if move := make_move(store, store_uri, number, decision, key=f"champions/{name}/{number}"):
            complete_move(store, store_uri, move, registry)
            return _result(move)
    raise Unavailable(f"the champion of {name} changes all the time; try again")


def _require_possible(
    target: RegisteredVersion, name: str, champion: RegisteredVersion | None, earlier: list[ChampionMove], store: Store
) -> None:
    if champion and champion.version == target.version:
        raise BadInput(f"{name} version {target.version} is champion already")
    if not any(target.version in (move.decision.champion_before, move.decision.champion_after) for move in earlier):
        raise BadInput(
            f"{name} version {target.version} never was champion, so there is no way back to it; decisions.csv names those that were"
        )
    if not store.exists(target.checkpoint_uri):
        raise BadInput(f"the checkpoint of {name} version {target.version}, {target.checkpoint_uri}, is gone; it could not be scored again")


def _result(move: ChampionMove) -> RollbackResult:
    decision = move.decision
    log.info(
        "%s version %d is champion, in place of %s: %s", decision.model_name, decision.version, decision.champion_before, decision.reason
    )
    return RollbackResult(
        model_name=decision.model_name, version=decision.version, champion_before=decision.champion_before, reason=decision.reason
    )
