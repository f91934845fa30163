"""Hold the facts that only Airflow and the machine know now. STUB."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Approval:
    """A question that waits for an answer."""

    subject: str
    url: str
    since: str


@dataclass(frozen=True)
class ActiveRun:
    """A run that is queued or running."""

    dag_id: str
    run_id: str
    state: Literal["running", "queued"]
    since: str
    started_by: str
    waits_for: str
    url: str


@dataclass(frozen=True)
class ScheduledRun:
    """The next run of a schedule."""

    dag_id: str
    at: str


@dataclass(frozen=True)
class Live:
    """Facts of now; None where they are not known."""

    now: str | None = None
    approvals: tuple[Approval, ...] | None = None
    runs: tuple[ActiveRun, ...] | None = None
    scheduled: tuple[ScheduledRun, ...] | None = None
    import_errors: tuple[str, ...] | None = None
    num_statements: int | None = None
    disk_free_share: float | None = None
    store_free_share: float | None = None
