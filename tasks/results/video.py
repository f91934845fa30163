"""What ingest, segment and summarise write."""

from tasks.options import SegmentOptions
from tasks.results.record import Record, SetAside

NUM_FIRST = 20
"""A result names no more files than this one by one."""


class VideoRecord(Record):
    """`videos/<sha256>/probe.json`: one video, known by its content, under every name it came by.

    `is_hdr` and the numbers of the streams to be used are absent where an older version took the video.
    """

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
    is_hdr: bool | None = None
    video_index: int | None = None
    audio_index: int | None = None


class BatchRef(Record):
    """One mapped task's share of an ingest, with the name that the task carries in Airflow."""

    uri: str
    name: str
    out: str


class Batch(Record):
    """`ingests/<key>/batches/<n>.json`: the videos of one mapped task."""

    videos: tuple[str, ...]


class SeenFile(Record):
    """A file as it was when an ingest last looked at it; an annotation file that could be used has neither `video` nor `reason`."""

    name: str
    etag: str
    size_bytes: int
    video: str | None
    reason: str | None


class Inventory(Record):
    """`ingests/<key>/inventory.json`: every file that an ingest looked at."""

    files: tuple[SeenFile, ...]

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """The files that could not be used."""
        return tuple(SetAside(name=file.name, reason=file.reason) for file in self.files if file.reason)


class IngestResult(Record):
    """What an ingest took in, and the batches that are to be cut; the inventory has every file that was set aside."""

    num_videos: int
    num_files: int
    num_annotations: int
    num_set_aside: int
    first_set_aside: tuple[SetAside, ...]
    batches: tuple[BatchRef, ...]


class ClipRecord(Record):
    """One clip in the store. `uid` is the video's first 12 hex digits and the clip's interval in milliseconds: another cutting gives others."""

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
    """`clips/<video>/<recipe>/clips.json`, written last: all clips of one video, or the reason why there are none.

    `recipe` is `tasks.keys.clip_recipe_of` the options and `ffmpeg`, its version; `recipe_of` the options alone where that is not known, for
    it was cut before it was recorded. `lacked_bytes` is the memory that was too little for it.
    """

    video: str
    recipe: str
    options: SegmentOptions
    ffmpeg: str | None = None
    clips: tuple[ClipRecord, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    set_aside: str | None
    lacked_bytes: int | None = None


class SegmentResult(Record):
    """What one batch of videos was cut into."""

    num_videos: int
    num_clips: int
    dropped_seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


class SetAsideFile(Record):
    """`ingests/<key>/summary/set_aside.json`: everything that an ingest and its cutting could not use, or not wholly."""

    set_aside: tuple[SetAside, ...]
    warnings: tuple[SetAside, ...]


class SummaryResult(Record):
    """One ingest in numbers: what a person sees first, and what the clips' asset event carries. The lists in full lie in the named file."""

    num_files: int
    num_videos: int
    num_clips: int
    num_set_aside: int
    num_warnings: int
    first_set_aside: tuple[SetAside, ...]
    first_warnings: tuple[SetAside, ...]
    set_aside_uri: str
    recipe: str
    inputs_digest: str
