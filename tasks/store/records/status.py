"""Define the summary of a store, by boxes of its page, and notices to people.

Each box is written by one step. Times are UTC, as `now_utc` writes them. Lists are cut to the first few; their numbers are whole.
"""

from typing import Any, Literal

from tasks.settings import EventName
from tasks.store.records.record import Record, SetAside, SplitName, later


class VideosStatus(Record):
    """`status/films.json`, by `summarise`: the latest ingest, and when one last brought a new video.

    `num_videos` are those of the store, `num_clips` those of the ingest's videos.
    """

    at: str
    num_videos: int
    num_clips: int
    num_new: int
    new_at: str | None
    num_set_aside: int
    first_set_aside: tuple[SetAside, ...]


class LabelCount(Record):
    """Clips labelled by one origin, such as a folder, a file or a person."""

    kind: Literal["folder", "file", "person"]
    name: str
    num_clips: int


class LabelsStatus(Record):
    """`status/labels.json`, by `label`: the labels in numbers.

    `agreement` is a sentence, empty if nobody read a clip for the second time. `num_statements` is the length of the page's log then: later
    statements are in no dataset yet. `num_unsure` clips without a label were answered *unsure*.
    """

    at: str
    num_clips: int
    num_labelled: int
    num_unsure: int = later(0)
    by_origin: tuple[LabelCount, ...]
    agreement: str
    num_problems: int
    num_statements: int


class SplitStatus(Record):
    """Clips and source videos of one split."""

    split: SplitName
    num_clips: int
    num_sources: int


class DatasetChange(Record):
    """Differences of a dataset from the dataset before, in numbers."""

    before: str
    num_videos_added: int
    num_videos_removed: int
    num_clips_added: int
    num_clips_removed: int
    num_relabelled: int
    num_moved: int
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]


class KeptDataset(Record):
    """A dataset that was the latest once, for a choice of two to compare."""

    digest: str
    at: str
    num_clips: int


class DatasetStatus(Record):
    """`status/dataset.json`, by `dataset`: the latest dataset and those before it, latest first."""

    at: str
    digest: str
    splits: tuple[SplitStatus, ...]
    num_unlabelled: int
    change: DatasetChange | None
    warnings: tuple[str, ...]
    datasets: tuple[KeptDataset, ...]


class TrainingStatus(Record):
    """`status/models/<name>/training.json`, by `plan`: the training that was planned last."""

    at: str
    run_key: str
    recipe: str
    num_train_clips: int | None
    estimate: str
    expected_seconds: float | None
    dataset: str


class VersionStatus(Record):
    """A decision on a version, or the rollback to it, with its scores.

    Scores are in percent of actions, with 95 % intervals. `top1_now` is on the clips of `now_dataset`, without the `num_left_out` that
    trained the version.
    """

    version: int
    at: str
    run_key: str
    event: Literal["promoted", "provisional", "kept", "champion again"]
    reason: str
    dataset: str
    num_labelled: int
    num_clips: int
    top1: float
    interval: tuple[float, float]
    top1_now: float | None = None
    interval_now: tuple[float, float] | None = None
    num_left_out: int = later(0)
    report_url: str = ""
    mlflow_run_url: str = ""
    saw_forgotten: bool = later(False)


class WeakClass(Record):
    """An action that the champion names badly, with some of its wrong clips."""

    name: str
    verb: str
    noun: str
    num_right: int
    num_clips: int
    uids: tuple[str, ...]


class ModelStatus(Record):
    """`status/models/<name>/model.json`, by `decide` and `rollback`: the champion, its history, and what its report advises.

    `expected_gain` and its interval are points of action top-1 by `gain_clips` more labels, if the learning curve can tell. Every
    `top1_now` is of the clips of `now_split` in `now_dataset`, a digest. `doubtful` are those of the `num_doubtful` labels that the page Label
    shows, by uid: verb and noun, and the likely verb and noun; None in older summaries.
    """

    at: str
    model_name: str
    champion: int | None
    provisional: bool
    champion_since: str | None
    split: SplitName | None
    num_doubtful: int
    doubtful: dict[str, tuple[str, str, str, str]] | None = later(None)
    expected_gain: float | None
    gain_interval: tuple[float, float] | None
    gain_clips: int | None
    weak_classes: tuple[WeakClass, ...]
    versions: tuple[VersionStatus, ...]
    now_dataset: str = ""
    now_split: SplitName | None = None


class PredictionStatus(Record):
    """A prediction in numbers; `unlike` says how unlike the training clips its clips are."""

    at: str
    prediction_uri: str
    report_url: str
    model: str
    num_videos: int
    num_clips: int
    unsure_share: float
    unlike: str
    is_unlike: bool
    num_to_label: int


class PredictionsStatus(Record):
    """`status/predictions.json`, by `predict_report`: the latest predictions, latest first."""

    predictions: tuple[PredictionStatus, ...]


class SpaceUse(Record):
    """Objects and bytes below one folder, or in the cache where `clean_up` ran."""

    name: str
    num_objects: int
    size_bytes: int
    is_cache: bool = later(False)


class SpaceStatus(Record):
    """`status/space.json`, by `clean_up`: the size of the store before and after it, by folder.

    A dry run deletes nothing: `after` is the size that would be left.
    """

    at: str
    before: tuple[SpaceUse, ...]
    after: tuple[SpaceUse, ...]
    is_dry_run: bool

    @property
    def folders(self) -> tuple[SpaceUse, ...]:
        """List the folders of the store as they are now."""
        return tuple(use for use in (self.before if self.is_dry_run else self.after) if not use.is_cache)

    @property
    def store_bytes(self) -> int:
        """Return the size of the store now."""
        return sum(use.size_bytes for use in self.folders)

    @property
    def freed_bytes(self) -> int:
        """Return the size that went from the store, or would go."""
        before, after = (sum(use.size_bytes for use in uses if not use.is_cache) for uses in (self.before, self.after))
        return before - after


class LoopStatus(Record):
    """The state of one store and one model, of the parts that are there."""

    store: str
    model_name: str
    films: VideosStatus | None = None
    labels: LabelsStatus | None = None
    dataset: DatasetStatus | None = None
    training: TrainingStatus | None = None
    model: ModelStatus | None = None
    predictions: PredictionsStatus | None = None
    space: SpaceStatus | None = None


class AdvisedStep(Record):
    """A thing to do next, with the path in Airflow, empty if there is none."""

    text: str
    url: str


class StatusResult(Record):
    """The loop's state in a sentence, the next steps by importance, and the summary."""

    sentence: str
    next_steps: tuple[AdvisedStep, ...]
    status: LoopStatus


class DifferentVideo(Record):
    """A video that only one of two datasets has, with its number of clips."""

    name: str
    video: str
    num_clips: int


class DifferentClip(Record):
    """A clip with its label or split in two datasets, empty if one lacks it."""

    uid: str
    name: str
    start_seconds: float
    stop_seconds: float
    before: str
    after: str


class SplitChange(Record):
    """Number of clips of one split in two datasets."""

    split: SplitName
    before: int
    after: int


class Difference(Record):
    """All differences of a dataset from another; moved clips have splits, others have labels."""

    videos_added: tuple[DifferentVideo, ...]
    videos_removed: tuple[DifferentVideo, ...]
    clips_added: tuple[DifferentClip, ...]
    clips_removed: tuple[DifferentClip, ...]
    relabelled: tuple[DifferentClip, ...]
    moved: tuple[DifferentClip, ...]
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]
    splits: tuple[SplitChange, ...]


class DiffResult(Record):
    """The digests of two datasets, and their difference."""

    before: str
    after: str
    difference: Difference


class RescoredVersion(Record):
    """An earlier version on today's deciding clips, without the `num_left_out` that trained it."""

    version: int
    num_clips: int
    num_left_out: int
    scores_uri: str


class RescoreResult(Record):
    """`runs/<run key>/decisions/<key>/rescore/`: the earlier versions that were scored on the clips of a decision."""

    dataset: str
    split: SplitName
    versions: tuple[RescoredVersion, ...]


class Waiting(Record):
    """A question in Airflow without an answer; if `is_assigned`, only approvers may answer.

    `since` is UTC.
    """

    subject: str
    url: str
    since: str
    is_assigned: bool


class EndedRun(Record):
    """A run of a DAG that has ended.

    `result` is that of the task that people are told about; `reason` says which task failed first, and why, and is empty if none failed. If
    `failed_before`, the scheduled run before this one failed, too.
    """

    dag_id: str
    run_url: str
    store: str
    is_failed: bool
    is_scheduled: bool
    failed_before: bool = False
    reason: str = ""
    result: dict[str, Any] | None = None
    waiting: tuple[Waiting, ...] = ()


class Notice(Record):
    """Two lines and a link.

    It is not sent again while `cause` is the last one of `about`; an empty `about` is always sent.
    """

    event: EventName
    title: str
    text: str
    url: str
    about: str = ""
    cause: str = ""
    for_approvers: bool = False


class Notified(Record):
    """`status/notified.json`, by `notify`: the cause of the last notice about each thing."""

    causes: dict[str, str]


class NotifyResult(Record):
    """The first lines of the notices that somebody got."""

    sent: tuple[str, ...]
