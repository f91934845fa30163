"""What ingest, segment and summarise write."""

from tasks.options import SegmentOptions
from tasks.results.record import Record, SetAside


class VideoRecord(Record):
    """`videos/<sha256>/probe.json`: one video, known by its content, under every name it came by."""

    video: str
    uri: str
    size_bytes: int
    names: tuple[str, ...]
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    fps: float
    duration_seconds: float
    has_audio: bool


class BatchRef(Record):
    """One mapped task's share of an ingest, with the name that the task carries in Airflow."""

    uri: str
    name: str
    out: str


class Batch(Record):
    """`ingests/<key>/batches/<n>.json`: the videos of one mapped task."""

    videos: tuple[str, ...]


class SeenFile(Record):
    """A file of the inbox as it was when its content was last hashed."""

    name: str
    etag: str
    size_bytes: int
    video: str | None
    reason: str | None


class Inventory(Record):
    """`ingests/<key>/inventory.json`: every file that an ingest looked at."""

    files: tuple[SeenFile, ...]


class IngestResult(Record):
    """What an ingest took in, and the batches that are to be cut."""

    num_videos: int
    num_files: int
    set_aside: tuple[SetAside, ...]
    annotations: tuple[str, ...]
    batches: tuple[BatchRef, ...]


class ClipRecord(Record):
    """One clip in the store. `uid` is the video's first 12 hex digits and the clip's index."""

    uid: str
    video: str
    index: int
    uri: str
    sha256: str
    size_bytes: int
    start_seconds: float
    stop_seconds: float
    num_frames: int
    width: int
    height: int
    has_audio: bool


class ClipsFile(Record):
    """`clips/<video>/<recipe>/clips.json`, written last: all clips of one video, or the reason why there are none."""

    video: str
    recipe: str
    options: SegmentOptions
    clips: tuple[ClipRecord, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    set_aside: str | None


class SegmentResult(Record):
    """What one batch of videos was cut into."""

    num_videos: int
    num_clips: int
    dropped_seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


class SummaryResult(Record):
    """One ingest in numbers: what a person sees first, and what the clips' asset event carries."""

    num_files: int
    num_videos: int
    num_clips: int
    set_aside: tuple[SetAside, ...]
    warnings: tuple[SetAside, ...]
    recipe: str
    inputs_digest: str
