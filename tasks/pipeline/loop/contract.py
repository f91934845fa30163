"""Describe the commands that say where the loop stands, and how two datasets differ."""

from pydantic import Field

from tasks.pipeline.step import Command, ShellArguments
from tasks.store.records.status import DiffResult, StatusResult


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


STATUS = Command(
    name="status",
    summary="say where the loop stands, and what to do next",
    module="loop.status",
    arguments=StatusArguments,
    result=StatusResult,
)
DIFF = Command(
    name="diff",
    summary="list the differences of two datasets",
    module="loop.diff",
    arguments=DiffArguments,
    result=DiffResult,
    positional={"before": "BEFORE", "after": "AFTER"},
)
