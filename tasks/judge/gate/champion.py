"""Move the alias `champion`, one numbered move at a time.

Each move is a numbered object under `champions/<model>/` that can be created only once: of two runs compared with the same champion, only
the first gets the next number. The decision is recorded after the move; if the process dies in between, a later one completes it.
"""

from tasks.judge.gate.decisions import keep_decision, kept_decision
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.decision import ChampionMove, DecisionRecord
from tasks.tracking import CHAMPION, Registry


def moves(store: Store, store_uri: str, model_name: str) -> list[ChampionMove]:
    """List the champion's moves so far, in order."""
    return [store.read(uri, ChampionMove) for uri in _uris(store, store_uri, model_name)]


def make_move(store: Store, store_uri: str, number: int, decision: DecisionRecord, key: str) -> ChampionMove | None:
    """Claim move `number`; None if another run has claimed it.

    Args:
        store: the store that holds the moves.
        store_uri: its address.
        number: one more than the number of moves at the time of the comparison with the champion.
        decision: the decision behind the move.
        key: the key under which the decision is recorded.
    """
    move = ChampionMove(number=number, decision=decision, key=key)
    return move if store.create(Layout(store_uri).champion_move(decision.model_name, number), move) else None


def complete_move(store: Store, store_uri: str, move: ChampionMove, registry: Registry) -> None:
    """Point the alias to the version of the last move and record this move's decision. Idempotent."""
    model_name = move.decision.model_name
    followed = None
    while (last := _uris(store, store_uri, model_name)[-1]) != followed:
        registry.set_alias(model_name, CHAMPION, store.read(last, ChampionMove).decision.version)
        followed = last
    keep_decision(store, store_uri, move.key, move.decision, registry)


def complete_last_move(store: Store, store_uri: str, model_name: str, registry: Registry) -> ChampionMove | None:
    """Complete and return the last move if it was interrupted.

    None if there is nothing to complete.
    """
    known = _uris(store, store_uri, model_name)
    if not known:
        return None
    last = store.read(known[-1], ChampionMove)
    if kept_decision(store, store_uri, last.key):
        return None
    complete_move(store, store_uri, last, registry)
    return last


def _uris(store: Store, store_uri: str, model_name: str) -> list[str]:
    return sorted(found.uri for found in store.list(Layout(store_uri).champion_moves(model_name)))
