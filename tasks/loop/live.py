"""Describe the present: facts of Airflow and of the machine that the summary does not hold."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Approval:
    """A question that waits for a person; times are UTC as `now_utc` writes them, addresses paths of Airflow."""

    subject: str
    url: str
    since: str


@dataclass(frozen=True)
class ActiveRun:
    """A DAG run that goes on or waits; `started_by` is empty if a schedule or an asset started it."""

    dag_id: str
    run_id: str
    state: Literal["running", "queued"]
    since: str
    started_by: str
    waits_for: str
    url: str


@dataclass(frozen=True)
class ScheduledRun:
    """The next scheduled run of a DAG."""

    dag_id: str
    at: str


@dataclass(frozen=True)
class Live:
    """Hold the facts that are known at the moment; None is unknown, and a rule about it says nothing.

    `import_errors` are the DAG files that Airflow cannot import, `num_statements` the length of the labelling page's log.
    """

    now: str | None = None
    approvals: tuple[Approval, ...] | None = None
    runs: tuple[ActiveRun, ...] | None = None
    scheduled: tuple[ScheduledRun, ...] | None = None
    import_errors: tuple[str, ...] | None = None
    num_statements: int | None = None
    disk_free_share: float | None = None
    store_free_share: float | None = None
