"""What the steps of a prediction write."""

from typing import Literal

from pydantic import Field

from tasks.options import EvaluateOptions, FlowOptions, PredictOptions, SegmentOptions
from tasks.results.evaluation import EngineUsed
from tasks.results.record import Record, SetAside
from tasks.results.video import BatchRef

PredictorRole = Literal["model", "against"]
"""The network that was asked for, and the one that it is set beside."""


class Predictor(Record):
    """One network, frozen: a checkpoint by its hash, and the temperatures that make its probabilities mean what they say.

    `label` is its name in every table; `flows` is the optical flow that it sees, as far as its training is known; `calibration` says where
    the temperatures are from, or why they are 1, and `calibration_crops` with how many crops a frame the clips were scored that they were
    fitted on, None where they are 1.
    """

    label: str
    description: str
    checkpoint_uri: str
    checkpoint_sha256: str
    flows: tuple[FlowOptions, ...]
    verb_temperature: float
    noun_temperature: float
    is_calibrated: bool
    calibration: str
    calibration_crops: int | None = None


class PredictedVideo(Record):
    """A video by its content, under the name that a person knows."""

    video: str
    name: str


class PredictionBatch(Record):
    """`predictions/<key>/batches/<n>.json`: the videos of one mapped task."""

    videos: tuple[PredictedVideo, ...]


class KnownLabel(Record):
    """What people say of a clip that is predicted."""

    uid: str
    verb_class: int
    noun_class: int


class KnownLabels(Record):
    """`predictions/<key>/labels.json`: the labels there were when the prediction was planned."""

    labels: tuple[KnownLabel, ...]


class PredictPlanResult(Record):
    """One prediction, decided: which videos, by which networks, cut how. `missing` names what was asked for and could not be had.

    `run_uri` and `model_dataset_uri` are those of the model's training, None where it is not known, and the latter where the dataset is gone;
    `dataset_uris` are those of both networks' trainings that are there, the model's own first, or else the latest of the store.
    `sources` names, by video, the recording that it was cut from where labels say so; every other video is a source of its own.
    `trained_on` are the videos that are predicted although they were trained on.
    """

    key: str
    prediction_uri: str
    store: str
    segment: SegmentOptions
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
        """The networks of the plan, by what they are in it."""
        both: dict[PredictorRole, Predictor | None] = {"model": self.model, "against": self.against}
        return {role: predictor for role, predictor in both.items() if predictor}

    @property
    def temperatures(self) -> dict[PredictorRole, tuple[float, float]]:
        """By network, that of its verb head and that of its noun head."""
        return {role: (predictor.verb_temperature, predictor.noun_temperature) for role, predictor in self.predictors.items()}


class KnownClipsResult(Record):
    """What the model sees in a sample of the clips that it was trained on; None where these are unknown."""

    num_clips: int
    features_uri: str | None
    reason: str


class ScoredVideo(Record):
    """What was predicted of one video: `scored_uri` has a row a clip, `preview_uri` the video with the predictions drawn in."""

    video: str
    name: str
    num_clips: int
    scored_uri: str
    preview_uri: str | None


class PredictBatchResult(Record):
    """What one mapped task predicted. `missing` names a network that could not be had, without which the others went on.

    `set_aside` names videos, and single clips of a video by their place in it; `warnings` names clips that were predicted and say less.
    `verb_alone` are the networks that were taught verbs and no nouns.
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
    """A finished prediction. Agreement is of the two networks' best actions, or verbs where these are all, None without a second network.

    `num_failed_batches` counts those whose task left no result: with any, the same prediction may be asked for again.
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
