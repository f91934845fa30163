"""Define the records of videos and clips, and the results of their steps.

The steps cut clips, make their optical flow or describe their sound.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from tasks.options import FlowOptions
from tasks.store.records.record import KeptSegmentOptions, Record, SetAside, later, leaves_out
from tasks.wording import count

NUM_FIRST = 20
"""Maximum number of files that a result lists by name."""


class WebPage(Record):
    """The web page that a video was downloaded from, as it named itself that day.

    `licence` is None if the page names none of Creative Commons; then the user said that the channel is their own.
    """

    address: str
    title: str
    author: str | None
    published_on: date | None
    licence: str | None


class VideoRecord(Record):
    """`videos/<sha256>/probe.json`: one video, identified by its content, with all names it was uploaded under.

    `is_hdr` and the indices of the streams to use are None if an older version ingested the video. `camera` and `recorded_at`, the start
    by the camera's clock, are None if the file does not tell them, either; `web_page` is None if the video came as a file.
    `uri` is outside the store if the video was left in place.
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
    """`ingests/<key>/batches/<n>.json`: the videos of one mapped task.

    It has their labelled intervals, too, if clips are cut around them.
    """

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
    """Counts of the files that an ingest was offered as videos.

    Annotation files are none of them.

    `num_videos` have different contents. `num_unusable` of `num_files` were set aside; None in records of older versions.
    """

    num_files: int
    num_videos: int
    num_unusable: int | None = later(None)

    @property
    def in_words(self) -> str:
        """Say what became of the files; the numbers add up to them."""
        if self.num_unusable is None:
            return f"{count(self.num_files, 'video file')}: {count(self.num_videos, 'video')}"
        num_copies = self.num_files - self.num_videos - self.num_unusable
        copies = f", {num_copies:,} with the content of another" if num_copies else ""
        unusable = f", {self.num_unusable:,} set aside" if self.num_unusable else ""
        return f"{count(self.num_files, 'video file')}: {count(self.num_videos, 'different video')}{copies}{unusable}"


class IngestResult(TakenFiles):
    """Counts of an ingest, and the batches to cut.

    The inventory lists all files set aside.
    """

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

    `recipe` is `tasks.keys.clip_recipe_of` the options and the version `ffmpeg`; for clips cut by older versions, which did not record it,
    `recipe_of` the options alone. `lacked_bytes` is the memory limit that was too small for the video, 0 if it or the next was not there, or a log told of a full disk;
    `is_out_of_reach` if that was for the server on which it was left, which hourly runs try again. Clips around intervals have
    `spans_digest`, a hash of all parts that were to be cut, and in `sound_warnings` what the sound of any that was cut lacks. When intervals
    change, the list is written again with the next `revision`.
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

    The complete lists are in the file `set_aside_uri`; they name video files, annotation files, and videos that could not be cut.
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
    """A clip whose optical flow is needed; `uid` names it in messages."""

    uid: str
    uri: str
    num_frames: int


class FlowBatch(Record):
    """The clips of one mapped task, and the options of their flow.

    Flow is stored next to each clip, under a hash of the options.
    """

    options: FlowOptions
    clips: tuple[FlowClip, ...]


class FlowsResult(Record):
    """Clips without flow, in batches. `num_missing` counts a clip once for each kind of flow."""

    num_clips: int
    num_missing: int
    batches: tuple[BatchRef, ...]


class FlowResult(Record):
    """The result of one batch.

    `num_computed` and the speed count only clips computed here. The others already had their flow.
    """

    num_clips: int
    num_computed: int
    num_fields: int
    seconds: float
    fields_per_second: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


MIN_SPEECH_SHARE = 0.1
"""From here on somebody counts as speaking in a clip. In the sample films, in which nobody speaks, the detector hears up to 0.056 of a clip."""


class SoundState(StrEnum):
    """The kinds of sound of a clip."""

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

    `num_described` and `seconds` are of this run; the other clips were described before.
    `warnings` has each clip in which there is nothing to hear, or not all the time, with the reason; `set_aside` those whose file cannot be
    read. In the clips `with_speech`, by their uids, somebody speaks; None if nobody listened to all of them.
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
