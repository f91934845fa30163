"""Define the records of clean-ups, backups, and videos that were forgotten."""

from pydantic import Field

from tasks.store.records.record import Record, later


class CleanUpResult(Record):
    """Everything that a clean-up removed, or would remove in a dry run.

    The cache is this machine's. `list_uri` is a table with the reason for each folder, and `summary` a sentence for people.
    """

    is_dry_run: bool
    num_objects: int
    size_bytes: int
    num_uploads: int
    num_cache_files: int
    cache_bytes: int
    list_uri: str
    summary: str


class Content(Record):
    """The content of a file or an object, stored under its hash."""

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
    """One backup; `records_until` is the store's time of its newest record."""

    name: str
    records_until: str
    stores: tuple[str, ...]
    artifacts: tuple[str, ...]
    objects: tuple[KeptObject, ...]
    files: tuple[KeptFile, ...]

    @property
    def contents(self) -> dict[str, Content]:
        """Map hashes to contents."""
        return {content.sha256: content for content in (*self.objects, *self.files)}


class BackupResult(Record):
    """A backup that was made; records written meanwhile are left to the next one."""

    folder: str
    name: str
    num_objects: int
    size_bytes: int
    num_new: int
    new_bytes: int
    num_left_out: int


class RestoreResult(Record):
    """A backup that was verified, and perhaps restored."""

    name: str
    num_objects: int
    size_bytes: int
    files: tuple[str, ...]
    restored: bool


class TraceCount(Record):
    """Objects or artifacts of one kind that were deleted, or rewritten without a video."""

    kind: str
    num_deleted: int
    num_rewritten: int


class Forgetting(Record):
    """`forgotten/intent.json`: a deletion that has begun.

    It is written before the first object of the deletion goes, and deleted after the last: a process that goes on reads here all that the
    store no longer says. `number` is 0 until the intent keeps others away. `names` are texts that name a video, and `uids` are clips of
    other videos that end in it. `folders` are deleted as a whole, the `datasets` have a video, and `shown` are the runs whose evidence
    shows it. The runs in `taught` were trained on a video, or made from such a network. `clip_hashes` name files in caches.
    """

    number: int
    at: str
    by: str
    reason: str
    videos: tuple[str, ...]
    names: tuple[str, ...]
    uids: tuple[str, ...]
    sources: tuple[str, ...]
    datasets: tuple[str, ...]
    folders: tuple[str, ...]
    shown: tuple[str, ...]
    taught: tuple[str, ...]
    clip_hashes: tuple[str, ...]
    left_in_place: tuple[str, ...]
    traces: tuple[TraceCount, ...] = ()
    list_sha256: str = ""


class Tombstone(Record):
    """`forgotten/videos/<video>.json`: a video that is never taken in, with its clips' hashes for caches."""

    number: int
    clip_hashes: tuple[str, ...]


class Receipt(Record):
    """`forgotten/<number>.json`: the numbers of a deletion, when, by whom and why, without content and names.

    `list_sha256` is the hash of the sorted addresses. `models` are the registered versions that saw a video. If it `keeps_versions`, the
    bucket has earlier versions of objects, which Retake does not delete; None if the keys could not ask.
    """

    number: int
    at: str
    by: str
    reason: str
    num_videos: int
    traces: tuple[TraceCount, ...]
    list_sha256: str
    models: tuple[str, ...]
    num_left_in_place: int
    keeps_versions: bool | None


class ForgetResult(Record):
    """A deletion in numbers, without a video's name, and its receipt if it is done.

    `question` is for the person who approves it; `videos_sha256` hashes the sorted hashes of its videos.
    """

    receipt_uri: str | None
    question: str
    num_videos: int
    videos_sha256: str = later("")
    traces: tuple[TraceCount, ...]
    models: tuple[str, ...] = Field((), description="versions that saw a video")
