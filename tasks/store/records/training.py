"""Define the results of weights, plan and train, fusions and probes."""

from typing import Any, Literal

from pydantic import Field, field_serializer

from tasks.options import EvaluateOptions, FlowOptions, GateOptions, Head, TrainOptions, Weights
from tasks.store.records.record import KeptModality, ModelRole, Record, SplitName, later, leaves_out
from tasks.store.records.video import ClipRecord


class Member(Record):
    """One network of a fusion, under the `name` that the person wrote.

    `sound` names the features of sound that it needs.
    """

    name: str
    network: str
    modality: KeptModality
    flow: FlowOptions | None
    sound: str | None = later(None)
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str


class FusedMember(Record):
    """A network's weight in each head, and its own loss on val.

    The weights of a head sum to 1 over the networks; the loss is over clips whose classes have an output.
    """

    name: str
    network: str
    verb_weight: float
    noun_weight: float
    val_loss: float


class Fusion(Record):
    """The choice of weights on val.

    A loss is the mean cross-entropy of verbs plus that of nouns, in nats, with each head's logits divided by their best temperature (Guo et
    al. 2017, arXiv 1706.04599): otherwise losses would reflect the scale of a network's logits, which changes no prediction.
    `held_out_loss` is that of weights chosen in the same way on other source videos; None if val has only one. `num_unheard` clips of val
    are not among `num_clips`, because a network of sound had nothing to hear in them.
    """

    members: tuple[FusedMember, ...]
    num_clips: int
    num_sources: int
    chosen_loss: float
    equal_loss: float
    held_out_loss: float | None
    held_out_equal_loss: float | None
    num_unheard: int = 0

    @property
    def is_supported(self) -> bool:
        """Check whether chosen weights are better than equal ones on held-out videos."""
        return self.held_out_loss is not None and self.held_out_equal_loss is not None and self.held_out_loss < self.held_out_equal_loss


class BatchTime(Record):
    """Measured seconds of a training batch, and of a validation's forward pass."""

    num_clips: int
    seconds: float
    forward_seconds: float
    device: str


class SeededStart(Record):
    """The same network with untrained heads of another seed, for a recipe's further training."""

    seed: int
    uri: str
    sha256: str


class WeightsResult(Record):
    """The network that training starts from, as a checkpoint; if `is_chance`, its heads are untrained.

    `members` are the networks of a fusion, in the checkpoint's order. `backbone_sha256` is the hash of the user's file of backbone weights.
    `recipe` has the options of a recipe that was named or chosen for the dataset at `dataset_uri`, and `chosen` its name and reason. `pace`
    is None if no batch could be timed where the weights were fetched. `repeats` are the starts of the recipe's further seeds.
    """

    backbone: str
    network: str = Field(default_factory=lambda data: f"TSN {data['backbone']} rgb")  # older records lack it
    weights: Weights
    uri: str
    sha256: str
    description: str
    is_chance: bool
    members: tuple[Member, ...] = ()
    backbone_sha256: str | None = None
    recipe: TrainOptions | None = later(None)
    dataset_uri: str | None = later(None)
    chosen: str = later("")
    pace: BatchTime | None = later(None)
    repeats: tuple[SeededStart, ...] = later(())


class Recipe(Record):
    """Training options under a name; those at their defaults are left out."""

    options: TrainOptions
    description: str = ""

    @field_serializer("options")
    def _differences(self, options: TrainOptions) -> dict[str, Any]:
        return options.model_dump(mode="json", exclude_defaults=True)


class RecipesResult(Record):
    """Recipes by their names."""

    recipes: dict[str, Recipe]


class Evaluation(Record):
    """One network to score on one split, and the address of the result."""

    model: ModelRole
    split: SplitName
    out: str


class Champion(Record):
    """The registered version that the new network must beat, or the one before it.

    `flows` and `sounds` are the optical flow and the features of sound that it needs, if its training is known. If `provisional`, it has
    not passed the gate.
    """

    version: int
    checkpoint_uri: str
    checkpoint_sha256: str
    flows: tuple[FlowOptions, ...] = ()
    sounds: tuple[str, ...] = later(())
    provisional: bool = False


class Repeat(Record):
    """A further training of a recipe with another seed; its plan has one evaluation."""

    seed: int
    run_key: str
    plan_uri: str


class Teacher(Record):
    """A trained network whose answers another network learns.

    Answers to clips without a label are learned, too. `name` is for people.
    """

    name: str
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str
    num_unlabelled: int = later(0)


class UnlabelledClips(Record):
    """`unlabelled.json` beside a checkpoint: the clips without a label that taught the network."""

    clips: tuple[ClipRecord, ...]


class DistilResult(Record):
    """A student, under a name for options, its teacher, and the addresses of its scores."""

    student: str
    teacher: str
    checkpoint_uri: str
    checkpoint_sha256: str
    num_labelled: int
    num_unlabelled: int
    result_uris: tuple[str, ...]


class PlanResult(Record):
    """Plan of one training: everything that the later steps need.

    `decision_uri` depends on the gate and the champion: other rules or another champion mean another decision on the same training.
    `no_previous` says why there is no `previous` version, unless there is none at all. `estimate` says how long the training takes,
    `expected_seconds` in numbers if known; `test_seconds` is the longest time that its test takes. `question` is put to a person before it
    starts, if any. `inputs` are those that its networks need besides frames, None in older plans. `repeats` are trained and scored with
    this training, and the gate decides on the mean of all.
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
    previous: Champion | None = later(None)
    no_previous: str = later("")
    deciding_split: SplitName | None = later(None)
    num_train_clips: int | None = None
    evaluations: tuple[Evaluation, ...]
    estimate: str = ""
    expected_seconds: float | None = later(None)
    test_seconds: float | None = later(None)
    question: str = ""
    inputs: tuple[Literal["flow", "sound"], ...] | None = later(None)
    repeats: tuple[Repeat, ...] = later(())
    teacher: Teacher | None = later(None)

    _older = leaves_out("networks")

    @property
    def run_keys(self) -> tuple[str, ...]:
        """Return the keys of its training and of the repeats."""
        return (self.run_key, *(repeat.run_key for repeat in self.repeats))

    @property
    def made_from(self) -> tuple[str, ...]:
        """Return the checkpoints of trained networks that it fuses, starts from or learns from."""
        return (*self.started_from, *((self.teacher.checkpoint_uri,) if self.teacher else ()))

    @property
    def started_from(self) -> tuple[str, ...]:
        """Return the checkpoints of trained networks that it fuses or starts from."""
        if self.weights.members:
            return tuple(member.checkpoint_uri for member in self.weights.members)
        return (self.weights.uri,) if self.weights.weights is Weights.TRAINED else ()

    @property
    def decides_on(self) -> SplitName:
        """Return the split that decides; in plans of older versions any test split does."""
        return self.deciding_split or ("test" if any(planned.split == "test" for planned in self.evaluations) else "val")

    @property
    def val_chooses(self) -> bool:
        """Check whether val chooses an epoch or a fusion's weights; a probe has one epoch."""
        return self.train.head is not Head.PROBE

    @property
    def has_published_backbone(self) -> bool:
        """Check whether the backbone stays as published, so no video taught it anything."""
        return self.train.trainable == "heads" and self.weights.weights in (Weights.EPIC, Weights.IMAGENET, Weights.NONE)


class Epoch(Record):
    """Losses, accuracies and the heads' learning rate of one epoch.

    The `val` fields are None if the epoch was not validated, others in some older records. The `train` accuracies are means over the
    epoch's views while the weights change, with altered labels where there is label noise.
    """

    epoch: int
    learning_rate: float | None = None
    train_loss: float
    train_verb_top1: float | None = None
    train_noun_top1: float | None = None
    train_action_top1: float | None = None
    val_loss: float | None
    val_verb_top1: float | None
    val_noun_top1: float | None
    val_action_top1: float | None


class TrainResult(Record):
    """A finished training; a fusion has no epochs but chosen weights.

    Beyond the first thousand, `epochs` has those that a logarithmic axis can show; `epochs.csv` has all. `kept_epochs` count from 0: a long
    training keeps their heads. `label_noise` is the share of altered training labels.
    """

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
    kept_epochs: tuple[int, ...] = ()
    label_noise: float = 0

    @property
    def num_epochs(self) -> int:
        """Count the trained epochs, which may be more than `epochs` has."""
        return self.epochs[-1].epoch + 1 if self.epochs else 0
