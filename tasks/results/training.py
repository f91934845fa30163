"""What weights, plan and train write."""

from typing import Any

from pydantic import Field

from tasks.options import EvaluateOptions, FlowOptions, GateOptions, TrainOptions, Weights
from tasks.results.fusion import Fusion, Member
from tasks.results.record import ModelRole, Record, SplitName


def _only_network(data: dict[str, Any]) -> str:
    return f"TSN {data['backbone']} rgb"


def _scored_networks(data: dict[str, Any]) -> tuple["ScoredNetwork", ...]:
    return tuple(ScoredNetwork(model=model) for model in dict.fromkeys(evaluation.model for evaluation in data["evaluations"]))


class WeightsResult(Record):
    """The network that training starts from, as a checkpoint in the store. `is_chance` tells that its heads know nothing before training.

    Where `network` is missing, it is a TSN that sees RGB. Of a fusion, `members` are its networks, in the checkpoint's order.
    """

    backbone: str
    network: str = Field(default_factory=_only_network)
    weights: Weights
    uri: str
    sha256: str
    description: str
    is_chance: bool
    members: tuple[Member, ...] = ()


class Evaluation(Record):
    """One network to be scored on one split, and where its result goes."""

    model: ModelRole
    split: SplitName
    out: str


class ScoredNetwork(Record):
    """One network to be scored on all splits that are planned for it: what one mapped task is told."""

    model: ModelRole


class Champion(Record):
    """The registered version that the fine-tuned network must beat, and the optical flow that it sees, as far as its training is known."""

    version: int
    checkpoint_uri: str
    checkpoint_sha256: str
    flows: tuple[FlowOptions, ...] = ()


class PlanResult(Record):
    """One training, decided: everything that the later steps need.

    What is decided of the trained network lies under `decision_uri`, which the gate and the champion that it competes with name: other rules,
    or another champion, are another decision on the same training. `networks` are those of `evaluations`, each once.
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
    networks: tuple[ScoredNetwork, ...] = Field(default_factory=_scored_networks)


class Epoch(Record):
    """One epoch's learning rate, that of the heads, its losses and accuracies.

    `learning_rate` is None where it is not known, `val` where the epoch was not validated.
    """

    epoch: int
    learning_rate: float | None = None
    train_loss: float
    val_loss: float | None
    val_verb_top1: float | None
    val_noun_top1: float | None
    val_action_top1: float | None


class TrainResult(Record):
    """A finished training; of a fusion, which has no epochs, the weights that were chosen."""

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
    fusion: Fusion | None = None
