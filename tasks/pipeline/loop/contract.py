"""Describe the commands that say where the loop stands, and how two datasets differ."""

from pydantic import Field

from tasks.options import Options, RegisterOptions, StoreUri
from tasks.pipeline.step import Command
from tasks.store.records.status import DiffResult, StatusResult


class StatusArguments(RegisterOptions):
    """The store and the model."""

    store: StoreUri | None = Field(None, title="Store", description="s3:// address; empty takes RETAKE_STORE_URI")


class DiffArguments(Options):
    """The two datasets."""

    datasets: list[str] = Field(
        [],
        min_length=2,
        max_length=2,
        validate_default=True,
        description="The earlier and the later one: digests, their first digits, or `latest`",
    )
    store: StoreUri | None = Field(None, title="Store", description="s3:// address; empty takes RETAKE_STORE_URI")


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
    positional={"datasets": "DATASET"},
)
