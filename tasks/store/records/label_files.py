"""Define the results of taking in and handing out annotation files."""

from tasks.store.records.dataset import Problem
from tasks.store.records.record import Record

NUM_FIRST = 20
"""Maximum number of problems and names that a result lists for each file."""


class ImportedFile(Record):
    """An annotation file, how it was read, and where it lies; None if it cannot be read at all.

    `num_labels` counts the labels of videos in the store, `num_without_video` those of other videos. `remarks` are about labels that are used.
    """

    name: str
    layout: str
    uri: str | None
    num_labels: int
    num_without_video: int
    first_without_video: tuple[str, ...]
    num_refused: int
    first_refused: tuple[Problem, ...]
    remarks: tuple[str, ...] = ()


class LabelsImportResult(Record):
    """The files of one import."""

    files: tuple[ImportedFile, ...]


class LabelsExportResult(Record):
    """A file for another tool. `num_labels` and `num_predictions` count its intervals."""

    path: str
    labels_uri: str
    prediction_uri: str | None
    num_videos: int
    num_labels: int
    num_predictions: int
