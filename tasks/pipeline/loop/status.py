"""Say at a shell where the loop stands: `python -m tasks status`."""

from collections.abc import Iterator

from tasks.disk import disks
from tasks.loop.advice import Live, next_steps, sentence
from tasks.loop.summary import count_statements, lines_of, main_model, read_status
from tasks.pipeline.loop.contract import StatusArguments
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import AdvisedStep, StatusResult


def run(arguments: StatusArguments, store: Store) -> StatusResult:
    """Read the summary, and the facts of the present that need no Airflow."""
    status = read_status(store, arguments.store_uri, arguments.model_name or main_model(store, arguments.store_uri))
    free_share = disks(load(MachineSettings).cache_dir)[0].free_share
    live = Live(now=now_utc(), num_statements=count_statements(store, status), disk_free_share=free_share)
    steps = next_steps(status, live, lambda path: path)
    return StatusResult(
        sentence=sentence(status, live.now), next_steps=tuple(AdvisedStep(text=step.text, url=step.url) for step in steps), status=status
    )


def in_words(result: StatusResult, _: Store) -> Iterator[str]:
    """Write the result for a person."""
    return lines_of(result)
