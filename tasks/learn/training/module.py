"""Train a network on images, or only its heads on cached features: Lightning modules."""

# b: batch, t: segments, f: features, v: verbs, n: nouns, h, w: pixels

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torchmetrics import Metric

from tasks.learn.inputs.crops import Normalise
from tasks.learn.inputs.data import NO_LABEL, CachedClip, Sample
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, no_names
from tasks.learn.training.epochs import Scores
from tasks.learn.training.optimizer import (
    ClipLosses,
    CrossEntropies,
    DistillationLoss,
    PerClass,
    balanced_weights,
    even_shares,
    make_optimizer,
    make_schedule,
    network_groups,
    parameter_groups,
    stages_of,
)
from tasks.options import RecipeOptions, TrainOptions

NAMES = tuple(Scores.__dataclass_fields__)
NUM_LOSSES = 3
OF_VERBS = ("loss", "verb_loss", "verb_top1")


class Means(Metric):
    """Means of `Scores` over one pass, across all processes, counting each clip once.

    One metric has all values, because six metrics take longer than a step of the heads. Losses are of all clips, and NaN if one is. Accuracies
    are of clips of other verbs than `nothing`, or 0 without any.
    """

    full_state_update = False
    sums: Tensor
    num_clips: Tensor
    num_acting: Tensor

    def __init__(self, nothing: int | None = None) -> None:
        super().__init__()
        self.nothing = NO_LABEL if nothing is None else nothing
        self.add_state("sums", torch.zeros(len(NAMES), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("num_clips", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("num_acting", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, losses: ClipLosses, logits: Logits, batch: Sample) -> None:
        """Count one batch."""
        verb_right, noun_right = logits.verb.argmax(1) == batch.verb, logits.noun.argmax(1) == batch.noun
        values = (losses.total, losses.verb, losses.noun, verb_right, noun_right, verb_right & noun_right)
        counts = batch.verb != NO_LABEL
        scores, has_action = torch.stack([value.detach().float() for value in values], 1)[counts], batch.verb[counts] != self.nothing
        self.sums += torch.cat([scores[:, :NUM_LOSSES], scores[:, NUM_LOSSES:] * has_action[:, None]], 1).sum(0)
        self.num_clips += len(scores)
        self.num_acting += has_action.sum()

    def compute(self) -> Tensor:
        """Return the means (6,), in the order of `Scores`."""
        num_rights = len(NAMES) - NUM_LOSSES
        return self.sums / torch.cat([self.num_clips.expand(NUM_LOSSES), self.num_acting.clamp(min=1).expand(num_rights)])


class Learner(pl.LightningModule, ABC):
    """Trains with a recipe; a subclass defines the trained part, its inputs and its logits.

    Args:
        network: gives the sizes; a subclass keeps only the part that it trains.
        options: the recipe and its seed.
        clips: all training clips, of all processes.
        classes: without objects, only verbs are trained and reported. Clips in which nothing happens count in no reported accuracy.
        teaching: a teacher's logits of `clips`, (clips, verbs) and (clips, nouns), if there is one.
    """

    def __init__(
        self,
        network: Network,
        options: TrainOptions,
        clips: Sequence[CachedClip],
        classes: ClassNames | None = None,
        teaching: Logits | None = None,
    ) -> None:
        super().__init__()
        classes = classes or no_names(network.spec)
        self.recipe = options
        self.num_clips = len(clips)
        self.num_crops = network.spec.num_crops(options.validation_crops)
        self.names = NAMES if classes.has_objects else OF_VERBS
        self.train_losses = CrossEntropies(
            options.label_smoothing,
            _of_classes(balanced_weights, network, clips) if options.class_weights == "balanced" else None,
            _of_classes(even_shares, network, clips) if options.label_smoothing else None,
            has_objects=classes.has_objects,
        )
        self.val_losses = CrossEntropies(has_objects=classes.has_objects)
        self.distillation: DistillationLoss | None = None
        if teaching:
            self.distillation = DistillationLoss(teaching, clips, network.spec, has_objects=classes.has_objects)
        self.dropout = nn.Dropout(options.dropout)
        self.train_means = Means(classes.nothing)
        self.val_means = Means(classes.nothing)
        self.reported: dict[str, float] = {}
        """The latest scores by name, such as `val/loss`."""
        self.keep(network)

    @abstractmethod
    def keep(self, network: Network) -> None:
        """Keep the part of a network that is trained."""

    def see(self, inputs: Tensor) -> Tensor:
        """Convert `Sample.inputs` to the inputs of the trained part, float (b, t, …)."""
        return inputs

    @abstractmethod
    def answer(self, seen: Tensor) -> Logits:
        """Compute Logits (b, v), (b, n) from the output of `see`."""

    @abstractmethod
    def make_optimizer(self) -> Optimizer:
        """Make the optimizer of the trainable parameters."""

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        """Compute one batch's part of the mean loss over all clips of an optimizer step."""
        logits = self.answer(self.see(batch.inputs))
        losses: ClipLosses = self.train_losses(logits, batch.verb, batch.noun)
        total = losses.total
        if self.distillation:
            total = total + self.distillation(logits, batch.clip)
        self.train_means.update(losses, logits, batch)
        if self.trainer.is_last_batch:
            self._report("train", self.train_means)
        # Lightning averages over processes and accumulated batches, as if all had the same number of clips.
        num_parts = self.trainer.world_size * self.recipe.accumulate_batches
        return total.sum() * num_parts / clips_of_step(batch_index, self.num_clips, self.recipe)

    def validation_step(self, batch: Sample, batch_index: int) -> None:
        """Count one batch, averaging each clip's logits over its crops, as in testing."""
        crops = batch.inputs.unbind(1) if self.num_crops > 1 else [batch.inputs]
        of_crops = Logits.stacked(self.answer(self.see(crop)) for crop in crops)
        logits = Logits(*(own.float().mean(0) for own in of_crops))
        self.val_means.update(self.val_losses(logits, batch.verb, batch.noun), logits, batch)

    def on_validation_epoch_end(self) -> None:
        """Report the means."""
        self._report("val", self.val_means)
        if self.recipe.patience:
            self.log("val/loss", self.reported["val/loss"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the recipe's optimizer and schedule."""
        optimizer = self.make_optimizer()
        schedule = make_schedule(optimizer, self.recipe)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}

    def _report(self, stage: str, means: Means) -> None:
        # Not through Lightning's `log`: that takes longer than a step of the heads. All processes have the same values.
        values = zip(NAMES, means.compute().float().tolist(), strict=True)
        self.reported |= {f"{stage}/{name}": value for name, value in values if name in self.names}
        means.reset()


class ActionModule(Learner):
    """Trains a network on images.

    `batch_norm` selects the running statistics that training updates: "partial" those of the first layer (TSN, arXiv 1608.00859, section
    3.2), "first-only" the same, "frozen" none, "train" all. With "first-only", the weights of the other batch-norms are frozen, too. Modules
    frozen by `trainable` do not change at all.
    """

    def keep(self, network: Network) -> None:
        """Keep the network, and freeze the parts that the recipe excludes."""
        self.network = network
        self.normalise = Normalise(network.input_format)
        freeze(network, self.recipe)
        norms = _norms(network)
        num_updated = {"partial": 1, "first-only": 1, "frozen": 0, "train": len(norms)}[self.recipe.batch_norm]
        self.in_evaluation = [*_frozen(network.backbone), *norms[num_updated:]]

    def train(self, mode: bool = True) -> "ActionModule":
        """Switch the mode, keeping frozen modules in evaluation mode."""
        super().train(mode)
        for module in self.in_evaluation:
            module.eval()
        return self

    def see(self, inputs: Tensor) -> Tensor:
        """Normalise snippets (b, t, p, h, w), or compute features if only heads are trained."""
        if self.recipe.trainable == "heads":
            return self._features(inputs)
        # Clips that the backbone takes one at a time are normalised when it takes them.
        snippets: Tensor = inputs if self._sees_single_clips else self.normalise(inputs)
        return snippets

    def answer(self, seen: Tensor) -> Logits:
        """Compute logits from the output of `see`."""
        features = seen if self.recipe.trainable == "heads" else self._features(seen)
        logits: Logits = self.network.head(self.dropout(features))
        return logits

    @property
    def _sees_single_clips(self) -> bool:
        """Check whether the backbone takes one clip at a time, because several would not fit."""
        return self.network.spec.video is not None and (self.recipe.trainable == "heads" or not torch.is_grad_enabled())

    def _features(self, snippets: Tensor) -> Tensor:
        """Map snippets, normalised or uint8 (b, t, p, h, w), to features (b, t, f)."""
        parts = torch.split(snippets, 1) if self._sees_single_clips else [snippets]
        return torch.cat([self.network.features(part if part.is_floating_point() else self.normalise(part)) for part in parts])

    def make_optimizer(self) -> Optimizer:
        """Make the optimizer of the trained stages and the heads."""
        return make_optimizer(network_groups(self.network, self.recipe), self.recipe)


class HeadModule(Learner):
    """Trains a network's heads on features; Lightning's checkpoints leave out the frozen backbone."""

    def keep(self, network: Network) -> None:
        """Keep the heads alone."""
        self.head = network.head

    def answer(self, seen: Tensor) -> Logits:
        """Compute logits from features float32 (b, t, f)."""
        logits: Logits = self.head(self.dropout(seen))
        return logits

    def make_optimizer(self) -> Optimizer:
        """Make an optimizer of the heads, fused because it takes most of a step."""
        return make_optimizer(parameter_groups(self.head.named_parameters(), self.recipe), self.recipe, fused=True)


class FittedModule(HeadModule):
    """Scores heads that are fitted already, in one epoch that leaves them as they are."""

    def make_optimizer(self) -> Optimizer:
        """Make an optimizer that changes nothing."""
        return torch.optim.SGD(self.head.parameters(), lr=0.0)


def clips_of_step(batch_index: int, num_clips: int, recipe: RecipeOptions) -> int:
    """Count the clips of an optimizer step, over all processes and accumulated batches."""
    max_clips = recipe.batch_size * recipe.accumulate_batches
    return min(max_clips, num_clips - batch_index // recipe.accumulate_batches * max_clips)


def freeze(network: Network, options: TrainOptions) -> None:
    """Freeze everything that `trainable` and `batch_norm` exclude from training."""
    last = {name for stage in stages_of(network.backbone)[-1:] for name in stage}
    for name, parameter in network.backbone.named_parameters():
        parameter.requires_grad_(options.trainable == "all" or (options.trainable == "last-stage" and name in last))
    if options.batch_norm == "first-only":
        for norm in _norms(network)[1:]:
            norm.requires_grad_(False)


def _norms(network: Network) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def _frozen(module: nn.Module) -> list[nn.Module]:
    """List the largest submodules that have parameters, all of them frozen."""
    learns = [parameter.requires_grad for parameter in module.parameters()]
    if not learns or all(learns):
        return []
    return [part for child in module.children() for part in _frozen(child)] if any(learns) else [module]


def _of_classes(numbers: Callable[[Tensor, int], Tensor], network: Network, clips: Sequence[CachedClip]) -> PerClass:
    labelled = [clip for clip in clips if clip.has_label]
    verbs, nouns = torch.tensor([clip.verb for clip in labelled]), torch.tensor([clip.noun for clip in labelled])
    return PerClass(numbers(verbs, network.spec.num_verbs), numbers(nouns, network.spec.num_nouns))
