"""Describe the commands that say where the loop stands, and how two datasets differ."""

from pydantic import Field

from tasks.options import Options, StoreUri
from tasks.options.base import MODEL_NAME_PATTERN
from tasks.pipeline.step import Command
from tasks.store.records.status import DiffResult, StatusResult


class StatusArguments(Options):
    """The store and the model."""

    store: StoreUri | None = Field(None, title="Store", description="s3:// address; empty takes RETAKE_STORE_URI")
    model_name: str | None = Field(
        None, pattern=MODEL_NAME_PATTERN, title="Registered model", description="Empty takes the first that was decided on"
    )


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
