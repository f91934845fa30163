"""Define the results of a prediction's steps."""

from typing import Literal

from pydantic import Field

from tasks.options import EvaluateOptions, FlowOptions, PredictOptions
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.record import KeptSegmentOptions, Record, SetAside
from tasks.store.records.video import BatchRef

PredictorRole = Literal["model", "against"]
"""The requested network, and the one that it is compared with."""


class Predictor(Record):
    """One network, pinned by its checkpoint's hash, with the temperatures that calibrate it.

    `label` is its name in every table; `flows` is the optical flow that it needs, and `sounds` are the names of the
    features of sound, as far as its training is known. `calibration` says where
    the temperatures come from, or why they are 1; `calibration_crops` is the number of crops per frame of the clips they were fitted on,
    None if they are 1. `interval_threshold` is the probability from which intervals are reported, None for all, or for none if
    `reports_intervals` is False; `interval_words` says where it comes from. A champion that is `provisional` had not passed the gate.
    Without `actions`, every pair of verb and noun is predicted.
    """

    label: str
    description: str
    checkpoint_uri: str
    checkpoint_sha256: str
    flows: tuple[FlowOptions, ...]
    sounds: tuple[str, ...] = Field((), exclude_if=lambda names: not names)
    verb_temperature: float
    noun_temperature: float
    is_calibrated: bool
    calibration: str
    calibration_crops: int | None = None
    interval_threshold: float | None = Field(None, exclude_if=lambda threshold: threshold is None)
    reports_intervals: bool = Field(True, exclude_if=lambda reports: reports)
    interval_words: str = Field("", exclude_if=lambda words: not words)
    provisional: bool = Field(False, exclude_if=lambda provisional: not provisional)
    actions: tuple[tuple[int, int], ...] = Field((), exclude_if=lambda pairs: not pairs)


class PredictedVideo(Record):
    """A video, identified by its content, and its name for people."""

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

    `intervals` are those of annotation files; they are not looked for without a stride.
    """

    labels: tuple[KnownLabel, ...]
    intervals: tuple[KnownInterval, ...] = Field((), exclude_if=lambda intervals: not intervals)


class PredictPlanResult(Record):
    """Plan of a prediction: its videos, networks and cutting options.

    `missing` names requested inputs that are not available. `run_uri` and `model_dataset_uri` belong to the model's training, and are None
    if it is unknown, the latter also if the dataset is gone. `dataset_uris` are the available datasets of both networks' trainings, the
    model's first, or else the store's latest. `sources` maps a video to the recording that it was cut from, if labels name one; every other
    video is its own source. `trained_on` are the videos that are predicted although the model was trained on them.
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

    @property
    def predictors(self) -> dict[PredictorRole, Predictor]:
        """Return the networks of the plan, by role."""
        both: dict[PredictorRole, Predictor | None] = {"model": self.model, "against": self.against}
        return {role: predictor for role, predictor in both.items() if predictor}


class KnownClipsResult(Record):
    """Features of a sample of the model's training clips; None if these are unknown."""

    num_clips: int
    features_uri: str | None
    reason: str


class ScoredVideo(Record):
    """Predictions of one video: `scored_uri` has one row per clip, `preview_uri` the video with captions.

    `windows_uri` has one row per window, those of the clips included; None without a stride. If the model cannot see windows between clips, only these.
    """

    video: str
    name: str
    num_clips: int
    scored_uri: str
    preview_uri: str | None
    windows_uri: str | None = Field(None, exclude_if=lambda uri: uri is None)


class PredictBatchResult(Record):
    """Predictions of one mapped task.

    `missing` names a network that was not available and was left out. `set_aside` names videos, and single clips by their time in the
    video; `warnings` names clips whose predictions are limited. `verb_alone` are the networks trained on verbs alone.
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

    Agreement compares the two networks' best actions, or verbs if there are no objects; None without a second network.

    `num_failed_batches` counts batches without a result; if there are any, the same prediction can be run again. Without a
    stride there is no `intervals_uri`; `num_intervals` counts the reported intervals of the model.
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
    intervals_uri: str | None = Field(None, exclude_if=lambda uri: uri is None)
    num_intervals: int | None = Field(None, exclude_if=lambda number: number is None)
