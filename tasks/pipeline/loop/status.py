"""Say at a shell where the loop stands: `python -m tasks status`."""

from collections.abc import Iterator

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tasks.disk import disks
from tasks.loop.next_steps import Live, next_steps, sentence
from tasks.loop.page_answers import page_answers
from tasks.loop.summary import lines_of, main_model, read_status
from tasks.pipeline.loop.contract import StatusArguments
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import AdvisedStep, StatusResult


def run(arguments: StatusArguments, store: Store) -> StatusResult:
    """Read the summary, and the facts of the present that need no Airflow."""
    status = read_status(store, arguments.store_uri, arguments.model_name or main_model(store, arguments.store_uri))
    free_share = disks(load(MachineSettings).cache_dir)[0].free_share
    answers = page_answers(Ledger.of(read_log(store, arguments.store_uri)), status)
    live = Live(now=now_utc(), answers=answers, disk_free_share=free_share)
    steps = next_steps(status, live, lambda path: path)
    return StatusResult(
        sentence=sentence(status, live.now), next_steps=tuple(AdvisedStep(text=step.text, url=step.url) for step in steps), status=status
    )


def in_words(result: StatusResult, _: Store) -> Iterator[str]:
    """Write the result for a person."""
    return lines_of(result)
