"""What a finished chain of runs has to say: what was set aside, the table, the decision."""

import re
from collections.abc import Iterator, Sequence

from tasks.errors import MissingObject
from tasks.local.airflow_api import AirflowApi
from tasks.local.follow import FollowedRun
from tasks.results.evaluation import CompareResult, RegisterResult
from tasks.results.record import SetAside
from tasks.results.video import IngestResult, SummaryResult
from tasks.storage import Store

_RUN_URI = re.compile(r"s3://\S+/runs/[0-9a-f]{16}/")


def report(api: AirflowApi, store: Store, followed: Sequence[FollowedRun]) -> Iterator[str]:
    """Lines for a person, the table among them as one text of several lines."""
    yield from _ingest_lines(api, followed[0])
    yield from _retrain_lines(api, store, followed[-1])


def _ingest_lines(api: AirflowApi, run: FollowedRun) -> Iterator[str]:
    summary = _result(api, run, "summarise")
    if summary is not None:
        found = SummaryResult.model_validate(summary)
        yield f"{found.num_videos} videos in {found.num_files} files gave {found.num_clips} clips"
        yield from _listed("set aside", found.num_set_aside, found.first_set_aside, "summarise")
        yield from _listed("warnings", found.num_warnings, found.first_warnings, "summarise")
    elif (ingest := _result(api, run, "ingest")) is not None:
        yield "no new video"
        taken = IngestResult.model_validate(ingest)
        yield from _listed("set aside", taken.num_set_aside, taken.first_set_aside, "ingest")


def _retrain_lines(api: AirflowApi, store: Store, run: FollowedRun) -> Iterator[str]:
    plan = run.first("plan")
    if plan is not None and plan.state == "skipped":
        lines = api.log_lines(run.ref, plan)
        note = next(
            (line for line in reversed(lines) if line.startswith("NothingToDo")), "this dataset and these options were trained before"
        )
        yield f"nothing was trained: {note.removeprefix('NothingToDo: ')}"
        if found := _RUN_URI.search(note):
            yield from _earlier(store, found.group())
        return
    compared = _result(api, run, "compare")
    registered = _result(api, run, "register")
    if compared is not None:
        yield from _compared(store, CompareResult.model_validate(compared))
    if registered is not None:
        yield _registered(RegisterResult.model_validate(registered))


def _earlier(store: Store, run_uri: str) -> Iterator[str]:
    try:
        compared = store.read(f"{run_uri}compare/result.json", CompareResult)
        yield "the result of that earlier run:"
        yield from _compared(store, compared)
        yield _registered(store.read(f"{run_uri}register/result.json", RegisterResult))
    except MissingObject:
        yield f"its tables are not in the store any more ({run_uri})"


def _compared(store: Store, result: CompareResult) -> Iterator[str]:
    table = result.table_uri.removesuffix(".md") + ".txt"
    yield "\n\n" + store.read_bytes(table).decode().strip() + "\n"
    yield f"decision: {'promote' if result.promote else 'do not promote'}: {result.reason}"


def _registered(result: RegisterResult) -> str:
    aliases = ", ".join(result.aliases) or "none"
    return f"model models:/{result.model_name}/{result.version}, aliases {aliases}: {result.mlflow_run_url}"


def _listed(title: str, number: int, first: Sequence[SetAside], step: str) -> Iterator[str]:
    if number:
        yield f"{title}: {number}"
    for item in first:
        yield f"  {item.name}: {item.reason}"
    if number > len(first):
        yield f"  and {number - len(first)} more; the log of `{step}` has all"


def _result(api: AirflowApi, run: FollowedRun, step: str) -> dict[str, object] | None:
    task = run.first(step)
    return api.result(run.ref, task) if task is not None else None
