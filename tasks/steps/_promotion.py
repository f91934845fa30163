"""Moves the alias `champion`, one move after another.

Each move is a numbered object under `champions/<model>/`, made only where nobody made that number before: of two runs that were compared with
the same champion, the first alone gets the next number. The alias follows the last number, whoever was cut off in between.
"""

from tasks.results.evaluation import ChampionMove, DecisionRecord
from tasks.storage import Store, to_json
from tasks.tracking import CHAMPION, Registry


def num_moves(store: Store, store_uri: str, model_name: str) -> int:
    """How often the champion has changed so far."""
    return len(_moves(store, store_uri, model_name))


def find_move(store: Store, store_uri: str, model_name: str, decision_uri: str) -> ChampionMove | None:
    """The move that an earlier try of this decision made."""
    found = (store.read(uri, ChampionMove) for uri in reversed(_moves(store, store_uri, model_name)))
    return next((move for move in found if move.decision_uri == decision_uri), None)


def make_move(store: Store, store_uri: str, number: int, decision: DecisionRecord, decision_uri: str) -> ChampionMove | None:
    """Claim the move of this number; None where somebody else has it."""
    move = ChampionMove(number=number, decision=decision, decision_uri=decision_uri)
    return move if store.create(f"{_folder(store_uri, decision.model_name)}{number:06d}.json", to_json(move)) else None


def follow_last_move(store: Store, store_uri: str, model_name: str, registry: Registry) -> None:
    """Point the alias at the version of the last move, also when another move is made meanwhile."""
    last = None
    while (newest := _moves(store, store_uri, model_name)[-1]) != last:
        registry.set_alias(model_name, CHAMPION, store.read(newest, ChampionMove).decision.version)
        last = newest


def _moves(store: Store, store_uri: str, model_name: str) -> list[str]:
    return sorted(found.uri for found in store.list(_folder(store_uri, model_name)))


def _folder(store_uri: str, model_name: str) -> str:
    return f"{store_uri}/champions/{model_name}/"
