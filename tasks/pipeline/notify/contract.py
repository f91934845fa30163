"""Describe the command that sends word to people."""

from pydantic import Field, Json

from tasks.options import Options
from tasks.pipeline.step import Command
from tasks.store.records.notices import EndedRun, Notice, NotifyResult


class NotifyArguments(Options):
    """A run or a notice; without either, a test."""

    ended: Json[EndedRun] | None = Field(None, title="Run", description="That ended, as Airflow's scheduler tells it")
    notice: Json[Notice] | None = Field(None, title="Notice", description="To send")


NOTIFY = Command(
    name="notify",
    summary="send word to people, where Airflow runs; without flags, a test",
    module="notify.notify",
    arguments=NotifyArguments,
    result=NotifyResult,
)
