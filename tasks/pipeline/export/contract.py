"""Describe the commands that pack a registered model and train a student of it."""

from pathlib import Path

from pydantic import Field

from tasks.keys import export_key
from tasks.options import MODEL_REFERENCE, ExportOptions, Options, StoreRoot
from tasks.options.base import MODEL_NAME_PATTERN
from tasks.pipeline.step import Command
from tasks.store.records.export import ExportResult
from tasks.store.records.training import DistilResult
from tasks.store.run_layout import Package, Run


class ExportArguments(ExportOptions):
    """The version, perhaps a student of it, and the folder that gets the package."""

    model: str = Field(pattern=f"^{MODEL_REFERENCE}$", title="Model", description="models:/NAME@ALIAS or models:/NAME/VERSION")
    to: Path = Field(title="Folder", description="The package is written here; it must be empty")
    student: str | None = Field(
        None,
        pattern=MODEL_NAME_PATTERN,
        title="Student",
        description="Backbone of a smaller network, which is distilled and packed instead",
    )
    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the model's decisions")


class DistilArguments(Options):
    """The teacher, and the backbone of its student."""

    model: str = Field(description="The teacher: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this store")
    student: str = Field(
        pattern=MODEL_NAME_PATTERN,
        title="Student",
        description="Backbone of the smaller network: a model of timm or torchvision, such as tf_efficientnet_lite0",
    )
    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the teacher")


def package_of(run: Run, options: ExportOptions, student_key: str | None = None) -> Package:
    """Find the place of a training's package, or of its student's."""
    return run.package(export_key(options, student_key))


EXPORT = Command(
    name="export",
    summary="pack a registered model for machines without Retake",
    arguments=ExportArguments,
    result=ExportResult,
    gpu=True,
    positional={"model": "MODEL"},
)
DISTIL = Command(
    name="distil",
    summary="train a smaller network from the answers of a trained one",
    arguments=DistilArguments,
    result=DistilResult,
    gpu=True,
    positional={"model": "MODEL"},
)
