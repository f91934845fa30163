"""Roll the alias `champion` back to an earlier version, safe against concurrent moves."""

from tasks.errors import BadInput, Unavailable
from tasks.judge.gate.champion import complete_last_move, complete_move, make_move, moves
from tasks.store.objects import Store
from tasks.store.records.decision import ChampionMove, DecisionRecord
from tasks.store.records.record import now_utc
from tasks.tracking import RegisteredVersion, Registry, Tracker

NUM_TRIES = 10


def roll_back(name: str, to: int, *, reason: str, by: str, store: Store, registry: Registry, tracker: Tracker) -> DecisionRecord:
    """Move the alias of model `name` to version `to`. Trying again completes an interrupted move.

    Raises:
        BadInput: there is no such version, it is champion already, it never was champion, or its checkpoint is gone.
        Unavailable: other runs keep moving the alias.
    """
    store_uri = registry.kept_by(name)
    if store_uri is None:
        raise BadInput(f"Retake has no decisions on a registered model {name}; check --model-name")
    completed = complete_last_move(store, store_uri, name, registry)
    if completed and completed.decision.version == to:
        return completed.decision
    target = registry.version(name, to)
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
            decided_by=by,
            reason=reason,
            run_key=target.run_key,
            mlflow_run_url=url,
            provisional=next((move.decision.provisional for move in reversed(earlier) if move.decision.champion_after == to), False),
        )
        number = len(earlier) + 1
        if move := make_move(store, store_uri, number, decision, key=f"champions/{name}/{number}"):
            complete_move(store, store_uri, move, registry)
            return decision
    raise Unavailable(f"the champion of {name} keeps changing; try again")


def _require_possible(
    target: RegisteredVersion, name: str, champion: RegisteredVersion | None, earlier: list[ChampionMove], store: Store
) -> None:
    if champion and champion.version == target.version:
        raise BadInput(f"{name} version {target.version} is already champion")
    if not any(target.version in (move.decision.champion_before, move.decision.champion_after) for move in earlier):
        raise BadInput(
            f"{name} version {target.version} was never champion, so it cannot be rolled back to; decisions.csv lists those that were"
        )
    if not store.exists(target.checkpoint_uri):
        raise BadInput(
            f"the checkpoint of {name} version {target.version}, {target.checkpoint_uri}, is gone, so it could not be evaluated again"
        )
