"""Define the records of who looked at which clips, and of the error that decisions spent."""

from typing import Literal

from tasks.store.records.evaluation import Attempt
from tasks.store.records.record import Record, SplitName, later

LookKind = Literal["decision", "comparison", "trial", "curve", "versions", "history"]


class SeenClips(Record):
    """A set of clips that networks were scored on, sorted by uid; stored once for all looks at it."""

    uids: tuple[str, ...]


class Look(Record):
    """One scoring of networks on a set of clips, which is written once.

    `networks` are the runs that somebody could choose among. The networks of a learning curve are trained on a part of the clips and never
    promoted, so it names none. A history scores versions that were decided on before; they count only for a further decision on one of them. `made_by` is the address of the plan, search or comparison. `split` is "unseen" for films that no network saw.
    """

    time: str
    kind: LookKind
    made_by: str
    model_name: str
    split: SplitName | Literal["unseen"]
    networks: tuple[str, ...]
    num_networks: int


class Charge(Record):
    """The error that a decision spent, stored as `charges/<model>/<number>.json`.

    Only one decision can write the next number, so the later of two that end together sees the earlier. `key` is the address of the decision.
    `repeats` are the runs of the recipe's further seeds, which were decided with it.
    """

    time: str
    key: str
    run_key: str
    attempt: Attempt
    repeats: tuple[str, ...] = later(())
