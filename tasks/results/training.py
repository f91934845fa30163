"""What weights, plan and train write."""

from tasks.options import EvaluateOptions, GateOptions, TrainOptions, Weights
from tasks.results.record import ModelRole, Record, SplitName


class WeightsResult(Record):
    """The network that training starts from, as a checkpoint in the store. `is_chance` tells that its heads know nothing before training."""

    backbone: str
    network: str
    weights: Weights
    uri: str
    sha256: str
    description: str
    is_chance: bool


class Evaluation(Record):
    """One network to be scored on one split, as the arguments of one mapped task."""

    model: ModelRole
    split: SplitName
    out: str


class Champion(Record):
    """The registered version that the fine-tuned network must beat."""

    version: int
    checkpoint_uri: str
    checkpoint_sha256: str


class PlanResult(Record):
    """One training, decided: everything that the later steps need.

    What is decided of the trained network lies under `decision_uri`, which the gate and the champion that it competes with name: other rules,
    or another champion, are another decision on the same training.
    """

    run_key: str
    run_uri: str
    dataset_uri: str
    dataset_digest: str
    train: TrainOptions
    evaluate: EvaluateOptions
    gate: GateOptions
    decision_uri: str
    num_champions: int
    model_name: str
    weights: WeightsResult
    champion: Champion | None
    evaluations: tuple[Evaluation, ...]


class Epoch(Record):
    """One epoch's losses and centre-crop accuracies; `val` is missing where the epoch was not validated."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_verb_top1: float | None
    val_noun_top1: float | None
    val_action_top1: float | None


class TrainResult(Record):
    """A finished training."""

    checkpoint_uri: str
    checkpoint_sha256: str
    best_epoch: int
    best_val_loss: float
    epochs: tuple[Epoch, ...]
    stopped_early: bool
    seconds: float
    mlflow_run_id: str
    mlflow_run_url: str
    hardware: dict[str, str | int]
