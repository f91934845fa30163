"""Moves the alias `champion`, one move after another.

Each move is a numbered object under `champions/<model>/`, made only where nobody made that number before: of two runs that were compared with
the same champion, the first alone gets the next number. What is kept as decided follows the move, whoever was cut off in between.
"""

from tasks.promotion.decisions import keep_decision, kept_decision
from tasks.results.evaluation import ChampionMove, DecisionRecord
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.tracking import CHAMPION, Registry


def moves(store: Store, store_uri: str, model_name: str) -> list[ChampionMove]:
    """How the champion has changed so far, in order."""
    return [store.read(uri, ChampionMove) for uri in _uris(store, store_uri, model_name)]


def make_move(store: Store, store_uri: str, number: int, decision: DecisionRecord, key: str) -> ChampionMove | None:
    """Claim the move of this number; None where somebody else has it.

    Args:
        store: where moves are kept.
        store_uri: its address.
        number: one more than the moves that were known when the champion was compared with.
        decision: what the move follows from.
        key: what the decision is found by.
    """
    move = ChampionMove(number=number, decision=decision, key=key)
    return move if store.create(Layout(store_uri).champion_move(decision.model_name, number), move) else None


def complete_move(store: Store, store_uri: str, move: ChampionMove, registry: Registry) -> None:
    """Point the alias at the version of the last move, and keep this move's decision. May be done again."""
    model_name = move.decision.model_name
    followed = None
    while (last := _uris(store, store_uri, model_name)[-1]) != followed:
        registry.set_alias(model_name, CHAMPION, store.read(last, ChampionMove).decision.version)
        followed = last
    keep_decision(store, store_uri, move.key, move.decision, registry)


def complete_last_move(store: Store, store_uri: str, model_name: str, registry: Registry) -> ChampionMove | None:
    """Complete the last move where whoever made it was cut off, and give it; None where there is nothing to complete."""
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
