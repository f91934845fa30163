"""Define the records of videos that were forgotten: the intent, the receipt and the tombstone."""

from pydantic import Field

from tasks.store.records.record import Record


class TraceCount(Record):
    """Objects or artifacts of one kind that were deleted, or rewritten without a video."""

    kind: str
    num_deleted: int
    num_rewritten: int


class Forgetting(Record):
    """`forgotten/intent.json`: a deletion that has begun, written before its first object and deleted after its last.

    A process that goes on knows from it all that the store no longer says. `number` is 0 until the intent keeps others away. `names` are
    texts that name a video, `uids` clips of other videos that end in one. `folders` are deleted as a whole, the `datasets` have a video, and
    `shown` are the runs whose evidence shows it; the runs in `taught` were trained on one, or made from such a network. `clip_hashes` name
    files in caches.
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
    """`forgotten/videos/<video>.json`: the receipt of a video that is never taken in again, and its clips, for caches."""

    number: int
    clip_hashes: tuple[str, ...]


class Receipt(Record):
    """`forgotten/<number>.json`: the numbers of a deletion, when, by whom and why, without content and names.

    `list_sha256` is the hash of the sorted list of addresses. `models` are the registered versions that saw a video. `keeps_versions`: the
    bucket keeps earlier versions of objects, which Retake does not delete; None if the keys could not ask.
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
    """A deletion in numbers, and its receipt if it is done. It names no video; `question` is for the person who approves it."""

    receipt_uri: str | None
    question: str
    num_videos: int
    traces: tuple[TraceCount, ...]
    models: tuple[str, ...] = Field((), description="versions that saw a video")
