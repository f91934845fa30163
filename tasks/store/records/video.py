"""Define the records of videos, clips, their flow and sound, and the steps' results."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from tasks.options import FlowOptions
from tasks.store.records.record import KeptSegmentOptions, Record, SetAside, later, leaves_out
from tasks.wording import count

NUM_FIRST = 20
"""Maximum number of files, problems or names that a result lists."""


class WebPage(Record):
    """The web page that a video was downloaded from, as it named itself that day.

    Without a licence of Creative Commons, the user said that the channel is their own.
    """

    address: str
    title: str
    author: str | None
    published_on: date | None
    licence: str | None


class VideoRecord(Record):
    """`videos/<sha256>/probe.json`: one video, identified by its content, with all names it was uploaded under.

    `uri` is outside the store if the video was left in place. `is_hdr` and the indices of the streams to use are None if an older version
    ingested the video. `recorded_at` is the start by the camera's clock.
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
    camera: str | None = later(None)
    recorded_at: datetime | None = later(None)
    web_page: WebPage | None = later(None)


class BatchRef(Record):
    """One mapped task's batch, with the task's name in Airflow."""

    uri: str
    name: str
    out: str


class Interval(Record):
    """A labelled part of a video.

    With `next_video` it ends in that video, by the time of the first.
    """

    start_seconds: float
    stop_seconds: float
    next_video: str | None = later(None)


Intervals = Mapping[str, tuple[Interval, ...]]
"""Labelled intervals by video."""


class Batch(Record):
    """`ingests/<key>/batches/<n>.json`: the videos of one mapped task, and the intervals to cut around."""

    videos: tuple[str, ...]
    intervals: dict[str, tuple[Interval, ...]] = later({})


class SeenFile(Record):
    """A file as an ingest last saw it.

    A usable annotation file has neither `video` nor `reason`; `kept_as` is its name under `annotations/`, empty in older inventories.
    With an empty `etag` the next ingest tries the file again.
    """

    name: str
    etag: str
    size_bytes: int
    video: str | None
    reason: str | None
    kept_as: str = later("")


class Inventory(Record):
    """`ingests/<key>/inventory.json`: every file that an ingest has seen."""

    files: tuple[SeenFile, ...]

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """List the files that could not be used."""
        return tuple(SetAside(name=file.name, reason=file.reason) for file in self.files if file.reason)


class TakenFiles(Record):
    """Counts of the files that an ingest was offered as videos, so without annotation files.

    `num_videos` have different contents. `num_unusable` of `num_files` were set aside; None in records of older versions.
    """

    num_files: int
    num_videos: int
    num_unusable: int | None = later(None)

    @property
    def in_words(self) -> str:
        """Describe the outcome of all files; the numbers add up to them."""
        if self.num_unusable is None:
            return f"{count(self.num_files, 'video file')}: {count(self.num_videos, 'video')}"
        num_copies = self.num_files - self.num_videos - self.num_unusable
        copies = f", {num_copies:,} with the content of another" if num_copies else ""
        unusable = f", {self.num_unusable:,} set aside" if self.num_unusable else ""
        return f"{count(self.num_files, 'video file')}: {count(self.num_videos, 'different video')}{copies}{unusable}"


class IngestResult(TakenFiles):
    """Counts of an ingest, and the batches to cut; the inventory lists all files."""

    num_annotations: int
    num_set_aside: int
    first_set_aside: tuple[SetAside, ...]
    batches: tuple[BatchRef, ...]


class ClipRecord(Record):
    """One clip in the store.

    `uid` is the video's first 12 hex digits and the clip's start and end in milliseconds, so it depends on the cutting. `around` is the
    labelled interval that it was cut around; None on the grid.
    """

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
    around: Interval | None = later(None)

    @property
    def next_video(self) -> str | None:
        """Return the video that the clip ends in, if it is another one."""
        return self.around.next_video if self.around else None


class ClipsFile(Record):
    """`clips/<video>/<recipe>/clips.json`, written last: all clips of one video, or the reason why some are missing.

    `recipe` is `tasks.keys.clip_recipe_of` the options and the version `ffmpeg`, in older records without that version `recipe_of` the
    options. `lacked_bytes` is the memory limit that was too small for the video; it is 0 if this video or the next was not there, or if a
    log told of a full disk. If it `is_out_of_reach` on the server where it was left, hourly runs try again. Clips around intervals have
    `spans_digest`, a hash of all parts that were to be cut, and `sound_warnings` on those that were. Changed intervals give the list its
    next `revision`.
    """

    video: str
    recipe: str
    options: KeptSegmentOptions
    ffmpeg: str | None = None
    clips: tuple[ClipRecord, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    sound_warnings: tuple[str, ...] = later(())
    set_aside: str | None
    lacked_bytes: int | None = None
    is_out_of_reach: bool = later(False)
    spans_digest: str | None = later(None)
    revision: int = later(0)


class SegmentResult(Record):
    """Counts of one batch of videos that was cut."""

    num_videos: int
    num_clips: int
    dropped_seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


class SetAsideFile(Record):
    """`ingests/<key>/summary/set_aside.json`: everything that an ingest and its cutting could not use completely."""

    set_aside: tuple[SetAside, ...]
    warnings: tuple[SetAside, ...]


class SummaryResult(TakenFiles):
    """Summary of one ingest, for people and for the clips' asset event.

    The complete lists are at `set_aside_uri`: of video files, annotation files, and videos that could not be cut.
    """

    num_clips: int
    num_set_aside: int
    num_warnings: int
    first_set_aside: tuple[SetAside, ...]
    first_warnings: tuple[SetAside, ...]
    set_aside_uri: str
    recipe: str
    inputs_digest: str


class FlowClip(Record):
    """A clip whose optical flow is needed."""

    uid: str
    uri: str
    num_frames: int


class FlowBatch(Record):
    """The clips of one mapped task, and the options of their flow."""

    options: FlowOptions
    clips: tuple[FlowClip, ...]


class FlowsResult(Record):
    """Clips without flow, in batches. `num_missing` counts a clip once for each kind of flow."""

    num_clips: int
    num_missing: int
    batches: tuple[BatchRef, ...]


class FlowResult(Record):
    """The flow of one batch; `num_computed` and speed leave out clips that had it."""

    num_clips: int
    num_computed: int
    num_fields: int
    seconds: float
    fields_per_second: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


MIN_SPEECH_SHARE = 0.1
"""From here on somebody counts as speaking in a clip. In the sample videos, in which nobody speaks, the detector hears up to 0.056 of a clip."""


class SoundState(StrEnum):
    """The state of a clip's sound."""

    HEARD = "heard"
    SILENT = "silent"
    NO_TRACK = "no track"
    UNREADABLE = "unreadable"


class SoundNote(Record):
    """`clips/<video>/<recipe>/sound/<sound recipe>/0003.json`: the state of a clip's sound, written after it.

    `reason` says which part is missing; `speech_share` is the share of the clip in which somebody speaks, None if nobody listened for it.
    """

    state: SoundState
    reason: str
    speech_share: float | None

    @property
    def has_speech(self) -> bool:
        """Check whether somebody speaks."""
        return self.speech_share is not None and self.speech_share >= MIN_SPEECH_SHARE


class SoundResult(Record):
    """The sound of the clips of a training, a comparison or a prediction, in numbers.

    `num_described` and `seconds` are of this run; the other clips were described before. `warnings` name the clips with nothing to hear for
    some or all of the time, `set_aside` those whose file cannot be read. `with_speech` has uids, None if nobody listened to all clips.
    """

    num_clips: int
    num_described: int
    num_silent: int
    num_without_track: int
    num_unreadable: int
    with_speech: tuple[str, ...] | None
    seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]

    _older = leaves_out("recipes")
