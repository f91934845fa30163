"""Define the records of decisions, and of the champion's moves."""

from typing import Literal

from tasks.store.records.record import Record


class DecisionRecord(Record):
    """A line of `decisions.csv`: a version's decision, with time (UTC), person and reason.

    `provisional` means that after it the version is champion without having passed the gate.
    """

    time: str
    model_name: str
    version: int
    event: Literal["promoted", "kept", "rolled back"]
    champion_before: int | None
    champion_after: int | None
    promotion: Literal["auto", "approve", "never", "by hand"]
    decided_by: str
    reason: str
    run_key: str
    mlflow_run_url: str
    provisional: bool = False


class ChampionMove(Record):
    """One move of the alias `champion`, stored as `champions/<model>/<number>.json`.

    Only one run can write the next number, so no two runs promote at the same time. `key` identifies the decision behind the move.
    """

    number: int
    decision: DecisionRecord
    key: str


class RollbackResult(Record):
    """The version that a rollback moved the alias `champion` to, and the previous one."""

    model_name: str
    version: int
    champion_before: int | None
    reason: str
