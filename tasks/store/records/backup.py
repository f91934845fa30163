"""Define what a backup lists, and the results of making and of restoring one."""

from tasks.store.records.record import Record


class Content(Record):
    """The content of a file or an object; it lies under its hash."""

    sha256: str
    size_bytes: int


class KeptObject(Content):
    """An object of the store; `etag` is empty if it changed while it was copied."""

    uri: str
    etag: str


class KeptFile(Content):
    """A database, or another file outside the store."""

    name: str


class Snapshot(Record):
    """One backup: all that was there at one time. `records_until` is the store's time of its newest record."""

    name: str
    records_until: str
    stores: tuple[str, ...]
    artifacts: tuple[str, ...]
    objects: tuple[KeptObject, ...]
    files: tuple[KeptFile, ...]

    @property
    def contents(self) -> dict[str, Content]:
        """Map each hash to its content."""
        return {content.sha256: content for content in (*self.objects, *self.files)}


class BackupResult(Record):
    """A backup that was made. Records that were written meanwhile are left out; the next one has them."""

    folder: str
    name: str
    num_objects: int
    size_bytes: int
    num_new: int
    new_bytes: int
    num_left_out: int


class RestoreResult(Record):
    """A backup that was verified, and unless that was all, restored."""

    name: str
    num_objects: int
    size_bytes: int
    files: tuple[str, ...]
    restored: bool
