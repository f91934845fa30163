"""Describe the commands for the loop's state, differences of datasets, and notices to people."""

from pydantic import Field, Json

from tasks.options import Options
from tasks.pipeline.step import Command, ShellArguments
from tasks.store.records.status import DiffResult, EndedRun, Notice, NotifyResult, StatusResult


class StatusArguments(ShellArguments):
    """The store and the model."""

    model_name: str = Field(
        "",
        title="Registered model",
        description="Name in MLflow's registry; empty takes that of retrain's form, else the one decided on last",
    )


class DiffArguments(ShellArguments):
    """The two datasets."""

    before: str = Field(description="The earlier one: a digest, its first digits, or `latest`")
    after: str = Field(description="The later one, named as the earlier one")


class NotifyArguments(Options):
    """A run or a notice; without either, a test."""

    ended: Json[EndedRun] | None = Field(None, title="Run", description="That ended, as Airflow's scheduler tells it")
    notice: Json[Notice] | None = Field(None, title="Notice", description="To send")


STATUS = Command(name="status", summary="say where the loop stands, and what to do next", arguments=StatusArguments, result=StatusResult)
DIFF = Command(
    name="diff",
    summary="list the differences of two datasets",
    arguments=DiffArguments,
    result=DiffResult,
    positional={"before": "BEFORE", "after": "AFTER"},
)
NOTIFY = Command(
    name="notify", summary="send word to people, where Airflow runs; without flags, a test", arguments=NotifyArguments, result=NotifyResult
)
