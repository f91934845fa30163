"""Move the alias `champion`, and record each decision.

Each move is a numbered object under `champions/<model>/` that can be created only once: of two runs compared with the same champion, only
the first gets the next number. The decision is recorded after the move; if the process dies in between, a later one completes it.
"""

from tasks.errors import BadInput, Unavailable
from tasks.keys import content_key
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.decisions import ChampionMove, DecisionRecord
from tasks.store.records.record import now_utc
from tasks.store.stored import Stored
from tasks.tracking import CHAMPION, PROVISIONAL_TAG, Registry, Tracker
from tasks.wording import csv_table, plain_cell

NUM_TRIES = 10


def moves(store: Store, store_uri: str, model_name: str) -> list[ChampionMove]:
    """List the champion's moves so far, in order."""
    return [store.read(uri, ChampionMove) for uri in _uris(store, store_uri, model_name)]


def make_move(store: Store, store_uri: str, number: int, decision: DecisionRecord, key: str) -> ChampionMove | None:
    """Claim move `number`; None if another run has claimed it.

    `number` is one more than the number of moves when the network was compared with the champion.
    """
    move = ChampionMove(number=number, decision=decision, key=key)
    return move if store.create(Layout(store_uri).champion_move(decision.model_name, number), move) else None


def complete_move(store: Store, store_uri: str, move: ChampionMove, registry: Registry) -> None:
    """Point the alias to the last move's version, and record this move's decision; idempotent."""
    model_name = move.decision.model_name
    followed = None
    while (last := _uris(store, store_uri, model_name)[-1]) != followed:
        registry.set_alias(model_name, CHAMPION, store.read(last, ChampionMove).decision.version)
        followed = last
    record_decision(store, store_uri, move.key, move.decision, registry)


def complete_last_move(store: Store, store_uri: str, model_name: str, registry: Registry) -> ChampionMove | None:
    """Complete and return the last move if it was interrupted, else return None."""
    uris = _uris(store, store_uri, model_name)
    if not uris:
        return None
    last = store.read(uris[-1], ChampionMove)
    if recorded_decision(store, store_uri, last.key):
        return None
    complete_move(store, store_uri, last, registry)
    return last


def _uris(store: Store, store_uri: str, model_name: str) -> list[str]:
    return sorted(stored.uri for stored in store.list(Layout(store_uri).champion_moves(model_name)))


def recorded_decision(store: Store, store_uri: str, key: str) -> DecisionRecord | None:
    """Read the decision that an earlier try recorded under this key, if any."""
    at = _at(store_uri, key)
    return store.read(at) if store.exists(at.uri) else None


def record_decision(store: Store, store_uri: str, key: str, decision: DecisionRecord, registry: Registry) -> None:
    """Tag the version and add the decision to the table.

    Idempotent for the same decision and key.
    """
    registry.set_tags(
        decision.model_name,
        decision.version,
        {
            "retake.decision": decision.event,
            "retake.decision_reason": decision.reason,
            "retake.decided_by": decision.decided_by,
            "retake.decided_at": decision.time,
            PROVISIONAL_TAG: str(decision.provisional).lower(),
        },
    )
    if decision.event != "kept" and decision.champion_before not in (None, decision.version):
        registry.set_tags(decision.model_name, decision.champion_before, {PROVISIONAL_TAG: "false"})
    store.write(_at(store_uri, key), decision)
    _write_table(store, store_uri)


def recorded_decisions(store: Store, store_uri: str) -> list[DecisionRecord]:
    """Read all decisions in this store, on any model."""
    return [store.read(stored.uri, DecisionRecord) for stored in store.list(Layout(store_uri).decisions)]


def _write_table(store: Store, store_uri: str) -> None:
    """Write the table of all decisions, again if one was added meanwhile."""
    written: list[str] | None = None
    while (uris := sorted(o.uri for o in store.list(Layout(store_uri).decisions))) != written:
        records = sorted((store.read(uri, DecisionRecord) for uri in uris), key=lambda record: (record.time, record.version))
        rows = ({name: plain_cell(value) for name, value in record.model_dump().items()} for record in records)
        store.write_bytes(Layout(store_uri).decisions_table, csv_table(DecisionRecord.model_fields, rows))
        written = uris


def _at(store_uri: str, key: str) -> Stored[DecisionRecord]:
    return Layout(store_uri).decision(content_key({"decision": key}))


def roll_back(name: str, to: int, *, reason: str, by: str, store: Store, registry: Registry, tracker: Tracker) -> DecisionRecord:
    """Move the alias of model `name` to version `to`; a retry completes an interrupted move.

    Raises:
        BadInput: there is no such version, it is champion already, it never was champion, or its checkpoint is gone.
        Unavailable: other runs keep moving the alias.
    """
    store_uri = registry.store_of(name)
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
