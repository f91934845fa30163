"""Define an ended run as Airflow's scheduler tells it, the notices that come of it, and the memory of those that were sent."""

from typing import Any

from tasks.settings import EventName
from tasks.store.records.record import Record


class Waiting(Record):
    """A question in Airflow without an answer. `since` is UTC; `is_assigned` says that only approvers may answer."""

    subject: str
    url: str
    since: str
    is_assigned: bool


class EndedRun(Record):
    """A run of a DAG that has ended.

    `result` is that of the task that people are told about, `reason` names the task that failed first, and says why; empty if none did.
    `failed_before` says that the scheduled run before this one failed, too.
    """

    dag_id: str
    run_url: str
    store: str
    is_failed: bool
    is_scheduled: bool
    failed_before: bool = False
    reason: str = ""
    result: dict[str, Any] | None = None
    waiting: tuple[Waiting, ...] = ()


class Notice(Record):
    """Two lines and a link.

    It is not sent again while `cause` is the last one of `about`; an empty `about` is always sent.
    """

    event: EventName
    title: str
    text: str
    url: str
    about: str = ""
    cause: str = ""
    for_approvers: bool = False


class Notified(Record):
    """`status/notified.json`, by `notify`: the cause of the last notice about each thing."""

    causes: dict[str, str]


class NotifyResult(Record):
    """The first lines of the notices that somebody got."""

    sent: tuple[str, ...]
