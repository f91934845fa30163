"""Call those parts of Airflow's REST API (v2) that `make run` needs."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field

from tasks.errors import BadConfiguration, Unavailable
from tasks.local.home_folder import ADMINISTRATOR
from tasks.telemetry import message_of

_PAGE = 100


class _Seen(BaseModel):
    """The fields of a reply that are read; others are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class RunRef(_Seen):
    """One run of one DAG."""

    dag_id: str
    run_id: str


class ActiveRun(RunRef):
    """A run that is queued, or running since `start_date`."""

    run_id: str = Field(alias="dag_run_id")
    state: str
    run_after: datetime
    start_date: datetime | None

    @property
    def age_seconds(self) -> float:
        """Return how long it has been running or queued."""
        return (datetime.now(UTC) - (self.start_date or self.run_after)).total_seconds()


class Task(_Seen):
    """One task instance."""

    task_id: str
    map_index: int  # -1 if the task is not mapped
    rendered_map_index: str | None
    state: str | None  # None until Airflow schedules the task
    try_number: int
    pool: str = "default_pool"
    start_date: datetime | None
    end_date: datetime | None

    @property
    def step(self) -> str:
        """Return the task's name without its groups."""
        return self.task_id.rsplit(".", 1)[-1]


HEALTH_CLIENT = httpx.Client(trust_env=False)
"""A client of health checks, which ask ten times a second: a new one would load the certificates each time."""


def is_healthy(address: str) -> bool:
    """Check whether Airflow's API, database, scheduler and DAG processor are all healthy."""
    try:
        reply = HEALTH_CLIENT.get(f"{address}/api/v2/monitor/health", timeout=5)
        parts = reply.json() if reply.is_success else {}
    except (httpx.HTTPError, ValueError):
        return False
    return all(parts.get(part, {}).get("status") == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


_RETRY_PAUSES_SECONDS = (0.5, 1, 2, 4)


class AirflowApi:
    """A client of Airflow that logs in when needed.

    Every method raises `Unavailable` if Airflow does not answer.
    """

    def __init__(self, address: str, password: str, transport: httpx.BaseTransport | None = None) -> None:
        self._password = password
        self._client = httpx.Client(base_url=address, timeout=30, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def address(self) -> str:
        """Return the address of this Airflow."""
        return str(self._client.base_url).rstrip("/")

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Create the pool unless it exists; slots that a person changed are kept."""
        pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self._call("POST", "/pools", json=pool, accept=(201, 409))

    def dag_ids(self) -> set[str]:
        """List the DAGs that Airflow has parsed."""
        return {dag["dag_id"] for dag in self._get("/dags", limit=_PAGE)["dags"]}

    def import_errors(self) -> dict[str, str]:
        """Map each DAG file that fails to import to the last line of its traceback."""
        errors = self._get("/importErrors", limit=_PAGE)["import_errors"]
        return {e["filename"]: e["stack_trace"].strip().splitlines()[-1] for e in errors}

    def unpause(self, dag_id: str) -> None:
        """Unpause the DAG."""
        self._call("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> RunRef:
        """Trigger a run.

        Raises:
            BadConfiguration: Airflow refuses the parameters.
        """
        reply = self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", json={"logical_date": None, "conf": dict(conf)})
        return RunRef(dag_id=dag_id, run_id=reply.json()["dag_run_id"])

    def run_state(self, run: RunRef) -> str:
        """Return the run's state: queued, running, success or failed."""
        return str(self._get(_path(run))["state"])

    def tasks(self, run: RunRef) -> list[Task]:
        """List every task instance of the run, mapped ones separately."""
        tasks: list[Task] = []
        while True:
            page = self._get(f"{_path(run)}/taskInstances", limit=_PAGE, offset=len(tasks))
            tasks += [Task.model_validate(t) for t in page["task_instances"]]
            if not page["task_instances"] or len(tasks) >= page["total_entries"]:
                return tasks

    def num_asset_events(self, run: RunRef) -> int:
        """Count the assets that the run has updated."""
        return int(self._get("/assets/events", source_dag_id=run.dag_id, source_run_id=run.run_id, limit=0)["total_entries"])

    def runs_caused_by(self, run: RunRef) -> list[RunRef] | None:
        """List the runs started by the run's assets; None while one of them is queued.

        Airflow 3.3 answers 500 then: its reply cannot hold a run that has not started.
        """
        query: dict[str, str | int] = {"source_dag_id": run.dag_id, "source_run_id": run.run_id, "limit": _PAGE}
        reply = self._call("GET", "/assets/events", params=query, accept=(200, 500))
        if reply.status_code == 500:
            return None
        return [RunRef.model_validate(created) for event in reply.json()["asset_events"] for created in event["created_dagruns"]]

    def active_runs(self, dag_id: str = "~") -> list[ActiveRun]:
        """List the unfinished runs of the DAG, or of all DAGs, earliest first."""
        query: dict[str, str | int | list[str]] = {"state": ["queued", "running"], "order_by": "run_after", "limit": _PAGE}
        runs = self._call("GET", f"/dags/{quote(dag_id)}/dagRuns", params=query).json()["dag_runs"]
        return [ActiveRun.model_validate(run) for run in runs]

    def end(self, run: RunRef) -> None:
        """End a run: its tasks at work are killed and failed, the others skipped."""
        self._call("PATCH", _path(run), accept=(200, 404), json={"state": "failed"})  # 404: the run was deleted

    def log_lines(self, run: RunRef, task: Task) -> list[str]:
        """Return the log of the task's last try so far, without Airflow's heading."""
        path = f"{_path(run)}/taskInstances/{quote(task.task_id)}/logs/{max(task.try_number, 1)}"
        reply = self._call("GET", path, params={"map_index": task.map_index, "full_content": True}, accept=(200, 404))
        if reply.status_code == 404:
            return []
        lines, in_heading = [], False
        for entry in reply.json()["content"]:
            text = entry if isinstance(entry, str) else str(entry.get("event", ""))
            if text.startswith("::group::"):
                in_heading = True
            elif text.startswith("::endgroup::"):
                in_heading = False
            elif not in_heading and text.strip():
                lines.extend(message_of(text.rstrip()).splitlines())
        return lines

    def result(self, run: RunRef, task: Task) -> dict[str, Any] | None:
        """Return the result of the task's step; None if the task was skipped."""
        for key in ("result", "return_value"):  # `result` exists if the return value is a list to map over
            path = f"{_path(run)}/taskInstances/{quote(task.task_id)}/xcomEntries/{key}"
            reply = self._call("GET", path, params={"map_index": task.map_index, "stringify": False}, accept=(200, 404))
            if reply.status_code == 200:
                value: dict[str, Any] = reply.json()["value"]
                return value
        return None

    def task_page(self, run: RunRef, task: Task) -> str:
        """Build the address of the task in Airflow's UI."""
        mapped = f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
        return f"{self.address}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}/tasks/{quote(task.task_id)}{mapped}"

    def _get(self, path: str, **params: str | int) -> dict[str, Any]:
        reply: dict[str, Any] = self._call("GET", path, params=params).json()
        return reply

    def _call(self, method: str, path: str, accept: tuple[int, ...] = (200, 201), **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own keywords
        try:
            if "Authorization" not in self._client.headers:
                self._login()
            reply = self._client.request(method, f"/api/v2{path}", **request)
            if reply.status_code == 401:  # the token has expired
                self._login()
                reply = self._client.request(method, f"/api/v2{path}", **request)
            for pause_seconds in _RETRY_PAUSES_SECONDS if method != "POST" else ():
                if reply.status_code < 500 or reply.status_code in accept:
                    break
                time.sleep(pause_seconds)  # SQLite is briefly locked while the DAG processor writes
                reply = self._client.request(method, f"/api/v2{path}", **request)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"Airflow at {self._client.base_url} does not answer ({type(error).__name__}: {error}); `make run` restarts it"
            ) from error
        if reply.status_code in accept:
            return reply
        problem = f"Airflow answers {method} {path} with {reply.status_code}: {reply.text[:500]}"
        raise Unavailable(problem) if reply.status_code >= 500 else BadConfiguration(problem)

    def _login(self) -> None:
        self._client.headers.pop("Authorization", None)
        reply = self._client.post("/auth/token", json={"username": ADMINISTRATOR, "password": self._password})
        if reply.status_code == 401:
            raise BadConfiguration(f"Airflow at {self._client.base_url} refuses the generated password; `make stop`, then `make run`")
        reply.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"


def _path(run: RunRef) -> str:
    return f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}"
