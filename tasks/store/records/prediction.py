"""Define the results of predictions."""

from typing import Literal

from pydantic import Field

from tasks.options import EvaluateOptions, FlowOptions, PredictOptions
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.record import KeptSegmentOptions, Record, SetAside, SplitName, later, leaves_out
from tasks.store.records.video import BatchRef, Interval

PredictorRole = Literal["model", "against"]
"""The requested network, and the one that it is compared with."""


class Predictor(Record):
    """One network, pinned by its checkpoint's hash, with the temperatures that calibrate it.

    `label` is its name in every table. `flows` and `sounds` are the optical flow and the features of sound that it needs, if its training
    is known. `calibration` says where the temperatures come from, or why they are 1; `calibration_crops` is the number of crops per frame
    that they were fitted on, None if they are 1. `interval_threshold` is the probability from which intervals are reported, None for all,
    or for none unless it `reports_intervals`; `interval_words` says where it comes from. A `provisional` champion had not passed the gate.
    Without `actions`, every pair of verb and noun is predicted.
    """

    label: str
    description: str
    checkpoint_uri: str
    checkpoint_sha256: str
    flows: tuple[FlowOptions, ...]
    sounds: tuple[str, ...] = later(())
    verb_temperature: float
    noun_temperature: float
    is_calibrated: bool
    calibration: str
    calibration_crops: int | None = None
    interval_threshold: float | None = later(None)
    reports_intervals: bool = later(True)
    interval_words: str = later("")
    provisional: bool = later(False)
    actions: tuple[tuple[int, int], ...] = later(())


class PredictedVideo(Record):
    """A video, and its name for people."""

    video: str
    name: str


class PredictionBatch(Record):
    """`predictions/<key>/batches/<n>.json`: the videos of one mapped task."""

    videos: tuple[PredictedVideo, ...]


class KnownLabel(Record):
    """Human label of a predicted clip."""

    uid: str
    verb_class: int
    noun_class: int


class KnownInterval(Record):
    """Human label of a part of a predicted video."""

    video: str
    start_seconds: float
    stop_seconds: float
    verb_class: int
    noun_class: int


class KnownLabels(Record):
    """`predictions/<key>/labels.json`: the labels at the time the prediction was planned.

    Without a stride, `intervals` are not looked for. `covered` has, by video, the time that labels account for, with an action or with
    nothing; it is None in older predictions, where whole videos count.
    """

    labels: tuple[KnownLabel, ...]
    intervals: tuple[KnownInterval, ...] = later(())
    covered: dict[str, tuple[Interval, ...]] | None = later(None)


class PredictPlanResult(Record):
    """Plan of a prediction: its videos, networks and cutting options.

    `missing` names requested inputs that are not available. `run_uri` and `model_dataset_uri` belong to the model's training, if known, and
    its dataset, if it is still there. `dataset_uris` are the available datasets of both networks' trainings, the model's first, or else the
    store's latest. `sources` maps a video to the recording that it was cut from; every other video is its own source. `trained_on` are
    predicted although a network was trained on them; `trained_by` says which, and earlier plans do not. `measured_on` are those of val. If
    `has_published_backbone`, no film of the model's dataset taught its backbone anything.
    """

    key: str
    prediction_uri: str
    store: str
    segment: KeptSegmentOptions
    evaluate: EvaluateOptions
    predict: PredictOptions
    model: Predictor
    against: Predictor | None
    missing: tuple[str, ...]
    run_uri: str | None
    model_dataset_uri: str | None
    dataset_uris: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    num_videos: int
    batches: tuple[BatchRef, ...]
    sources: dict[str, str] = Field(default_factory=dict)
    trained_on: tuple[str, ...] = ()
    trained_by: dict[PredictorRole, tuple[str, ...]] = later({})
    measured_on: tuple[str, ...] = ()
    has_published_backbone: bool = False

    @property
    def predictors(self) -> dict[PredictorRole, Predictor]:
        """Return the networks of the plan, by role."""
        both: dict[PredictorRole, Predictor | None] = {"model": self.model, "against": self.against}
        return {role: predictor for role, predictor in both.items() if predictor}


class ReferenceFilm(Record):
    """A film, and its clips' cosine distances to the nearest training clip of another film."""

    source: str
    split: SplitName
    distances: tuple[float, ...]

    _older = leaves_out("actions")


class ReferenceFilms(Record):
    """`runs/<run key>/known/<key>.json`: the films that new ones are compared with."""

    films: tuple[ReferenceFilm, ...]


class KnownClipsResult(Record):
    """Features of sampled training clips, and the films that new films are compared with.

    `features_uri` is None for `reason`, if the clips are unknown or none of the sample can be read.
    """

    num_clips: int
    features_uri: str | None
    reason: str
    reference: tuple[ReferenceFilm, ...] = ()


class ScoredVideo(Record):
    """Predictions of one video: `scored_uri` has one row per clip.

    `windows_uri` has one row per window, clips included; None without a stride. If the model cannot see windows between clips, it has the
    clips alone.
    """

    video: str
    name: str
    num_clips: int
    scored_uri: str
    windows_uri: str | None = later(None)

    _older = leaves_out("preview_uri")


class PredictBatchResult(Record):
    """Predictions of one mapped task.

    `missing` names a network that was left out. `set_aside` names videos, and single clips by their time; `warnings` names clips whose
    predictions are limited. `verb_alone` are the networks trained on verbs alone.
    """

    videos: tuple[ScoredVideo, ...]
    set_aside: tuple[SetAside, ...]
    missing: tuple[str, ...] = ()
    warnings: tuple[SetAside, ...] = ()
    engines: dict[PredictorRole, EngineUsed]
    verb_alone: tuple[PredictorRole, ...] = ()
    scoring_seconds: float
    peak_memory_bytes: int


class PredictReportResult(Record):
    """A finished prediction.

    Agreement compares two networks' best actions, or verbs if there are no objects. If there are failed batches, the same prediction can be
    run again. Without a stride there is no `intervals_uri`; `num_intervals` counts the reported intervals of the model. `shift` says how
    far videos outside the model's dataset lie from its training clips, if there are any.
    """

    num_videos: int
    num_clips: int
    num_set_aside: int
    first_set_aside: tuple[SetAside, ...]
    missing: tuple[str, ...]
    action_agreement: float | None
    action_agreement_interval: tuple[float, float] | None
    num_to_label: int
    page_uri: str
    table_uri: str
    to_label_uri: str
    report_url: str
    mlflow_run_url: str
    num_failed_batches: int = 0
    shift: str = later("")
    intervals_uri: str | None = later(None)
    num_intervals: int | None = later(None)
