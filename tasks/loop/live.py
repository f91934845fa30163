"""Describe the present: facts of Airflow and of the machine that the summary does not hold."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LEAST_FREE = 0.1
"""Share of a disk or a store below which a training or an ingest may not end."""


@dataclass(frozen=True)
class Space:
    """Use of a disk, or of the store where people say how much it may have."""

    name: str
    used_bytes: float
    all_bytes: float

    @property
    def free_share(self) -> float:
        """Return the share that is free."""
        return 1 - self.used_bytes / self.all_bytes


def disks(cache_dir: Path) -> list[Space]:
    """Measure the disks of this machine, the fullest first.

    In a container, the root is on the disk of the machine, and the cache may be in memory.
    """
    cache = cache_dir.expanduser()
    folders = {folder.stat().st_dev: folder for folder in (Path("/"), next(path for path in (cache, *cache.parents) if path.exists()))}
    usages = [(f"The disk of {folder}", shutil.disk_usage(folder)) for folder in folders.values()]
    return sorted((Space(name, usage.total - usage.free, usage.total) for name, usage in usages), key=lambda space: space.free_share)


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

    `import_errors` are the DAG files that Airflow cannot import, `num_statements` the length of the labelling page's log,
    `has_films` says whether the store has any film, summed up or not.
    """

    now: str | None = None
    approvals: tuple[Approval, ...] | None = None
    runs: tuple[ActiveRun, ...] | None = None
    scheduled: tuple[ScheduledRun, ...] | None = None
    import_errors: tuple[str, ...] | None = None
    num_statements: int | None = None
    disk_free_share: float | None = None
    has_films: bool | None = None
