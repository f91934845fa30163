"""Describe the commands that bring labels from other tools and hand them to other tools."""

from pathlib import Path

from pydantic import Field

from tasks.pipeline.step import Command, ShellArguments
from tasks.store.records.labelling import LabelsExportResult, LabelsImportResult


class LabelsImportArguments(ShellArguments):
    """The files to take in."""

    files: list[Path] = Field(default_factory=list, description="Annotation files, of Retake or of another tool")
    frame_rate: float | None = Field(
        None,
        gt=0,
        le=1000,
        title="Frame rate",
        description="Of Label Studio's project, for JSON whose tasks have no `fps`; empty takes 24, as Label Studio does",
    )


class LabelsExportArguments(ShellArguments):
    """The format, the file, and the prediction to write."""

    format: str = Field(
        title="Format", description="Of the file: activitynet, csv, cvat, elan, epic, fiftyone, label-studio, or one that a plugin writes"
    )
    out: Path | None = Field(
        None, title="File", description="To write; empty takes `labels` with the format's extension in the current folder"
    )
    prediction: str | None = Field(
        None,
        pattern="^[0-9a-f]{16}$",
        title="Prediction",
        description="Key of the prediction whose answers become pre-annotations of Label Studio; empty takes the latest, if there is one",
    )


IMPORT = Command(
    name="labels import",
    summary="take in annotation files of other tools, and say how each is read",
    module="import_labels",
    arguments=LabelsImportArguments,
    result=LabelsImportResult,
    positional={"files": "FILE"},
)
EXPORT = Command(
    name="labels export",
    summary="write all labels up to now for another tool",
    module="export_labels",
    arguments=LabelsExportArguments,
    result=LabelsExportResult,
)
