"""Describe the command that packs a registered model for other machines."""

from pathlib import Path

from pydantic import Field

from tasks.options import MODEL_REFERENCE, ExportOptions, StoreUri
from tasks.pipeline.step import Command
from tasks.store.records.export import ExportResult


class ExportArguments(ExportOptions):
    """The version, and the folder that gets its package."""

    model: str = Field(pattern=f"^{MODEL_REFERENCE}$", title="Model", description="models:/NAME@ALIAS or models:/NAME/VERSION")
    to: Path = Field(title="Folder", description="The package is written here; it must be empty")
    store: StoreUri | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the model's decisions")


EXPORT = Command(
    name="export",
    summary="pack a registered model for machines without Retake",
    module="export.export",
    arguments=ExportArguments,
    result=ExportResult,
    image="trainer",
    positional={"model": "MODEL"},
)
