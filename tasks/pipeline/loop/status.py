"""Say at a shell where the loop stands: `python -m tasks status`."""

import shutil
from collections.abc import Iterator
from contextlib import suppress

from tasks.loop.advice import next_steps, sentence
from tasks.loop.live import Live
from tasks.loop.summary import choose_model, count_statements, model_names, read_status
from tasks.loop.text import lines_of
from tasks.pipeline.loop.contract import StatusArguments
from tasks.settings import MachineSettings, RunnerSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import AdvisedStep, StatusResult


def run(arguments: StatusArguments, store: Store) -> StatusResult:
    """Read the summary, and what of the present can be seen without Airflow."""
    where = (arguments.store or load(RunnerSettings).store_uri).rstrip("/")
    model = arguments.model_name or choose_model(store, where, model_names(store, where))
    status = read_status(store, where, model)
    live = Live(now=now_utc(), num_statements=count_statements(store, status), disk_free_share=_disk_free_share())
    steps = next_steps(status, live, lambda path: path)
    return StatusResult(
        sentence=sentence(status, live.now),
        next_steps=tuple(AdvisedStep(text=step.text, url=step.url) for step in steps),
        status=status,
    )


def in_words(result: StatusResult, _: Store) -> Iterator[str]:
    """Write the result for a person."""
    return lines_of(result)


def _disk_free_share() -> float | None:
    with suppress(OSError):
        usage = shutil.disk_usage(load(MachineSettings).cache_dir.expanduser())
        return usage.free / usage.total
    return None
