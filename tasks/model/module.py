"""What Lightning trains: a network, or the heads of one on features that are kept, under the sum of both cross-entropies."""

# b: batch, t: segments, f: features, v: verbs, n: nouns, h, w: pixels

from abc import ABC, abstractmethod
from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import Metric

from tasks.model.consensus import Logits
from tasks.model.crops import Normalise
from tasks.model.data import NO_LABEL, Sample
from tasks.model.epochs import Scores
from tasks.model.network import Network

BatchNormPolicy = Literal["partial", "frozen", "train"]
Trainable = Literal["all", "last-stage", "heads"]
NAMES = tuple(Scores.__dataclass_fields__)


class Means(Metric):
    """The means of `Scores` over the clips of one pass, those of all processes together, each clip once.

    One metric of six numbers: six metrics cost more than a step of the heads. A loss that is not a number shows in its mean.
    """

    full_state_update = False
    sums: Tensor
    num_clips: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(len(NAMES), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("num_clips", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, scores: Tensor) -> None:
        """Count clips: (b, 6), in the order of `Scores`."""
        self.sums += scores.sum(0)
        self.num_clips += len(scores)

    def compute(self) -> Tensor:
        """The means (6,), in the order of `Scores`."""
        return self.sums / self.num_clips

    def count(self, logits: Logits, batch: Sample) -> Tensor:
        """Count one batch; gives the loss of each clip (b,), 0 where it does not count."""
        verb_loss = functional.cross_entropy(logits.verb, batch.verb, reduction="none", ignore_index=NO_LABEL)
        noun_loss = functional.cross_entropy(logits.noun, batch.noun, reduction="none", ignore_index=NO_LABEL)
        loss = verb_loss + noun_loss
        verb_right, noun_right = logits.verb.argmax(1) == batch.verb, logits.noun.argmax(1) == batch.noun
        scores = torch.stack([t.detach().float() for t in (loss, verb_loss, noun_loss, verb_right, noun_right, verb_right & noun_right)], 1)
        self.update(scores[batch.verb != NO_LABEL])
        return loss


class Learner(pl.LightningModule, ABC):
    """Cross-entropy of verbs plus cross-entropy of nouns, Adam on whatever is trainable. A subclass answers."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.train_means = Means()
        self.val_means = Means()

    @abstractmethod
    def answer(self, inputs: Tensor) -> Logits:
        """`Sample.inputs` -> Logits (b, v), (b, n)."""

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        """The mean loss of one batch, which all processes share: the mean of what each gives here."""
        losses = self.train_means.count(self.answer(batch.inputs), batch)
        num_clips = (batch.verb != NO_LABEL).sum()
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(num_clips)
        if self.trainer.is_last_batch:
            self._report("train", self.train_means)
        return losses.sum() * self.trainer.world_size / num_clips

    def validation_step(self, batch: Sample, batch_index: int) -> None:
        """Count one batch."""
        self.val_means.count(self.answer(batch.inputs), batch)

    def on_validation_epoch_end(self) -> None:
        """Tell the means."""
        self._report("val", self.val_means)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as the original experiment has it."""
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=self.learning_rate)

    def _report(self, stage: str, means: Means) -> None:
        # Once an epoch: Lightning takes longer to note a value than the heads to take a step. All processes tell the same.
        values = {f"{stage}/{name}": value for name, value in zip(NAMES, means.compute().float(), strict=True)}
        self.log_dict(values, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)
        means.reset()


class ActionModule(Learner):
    """A network, trained on images.

    `batch_norm` says which running statistics `train()` lets move: "partial" the first layer's alone (TSN, arXiv 1608.00859, section 3.2),
    "frozen" none, "train" all. Under `trainable="heads"` the backbone stays as it is in every respect.
    """

    def __init__(self, network: Network, *, learning_rate: float, trainable: Trainable, batch_norm: BatchNormPolicy) -> None:
        super().__init__(learning_rate)
        self.network = network
        self.normalise = Normalise(network.input_format)
        self.still = modules_at_rest(network, trainable, batch_norm)
        network.backbone.requires_grad_(trainable == "all")

    def train(self, mode: bool = True) -> "ActionModule":
        """Switch to training, but for the modules that rest."""
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def answer(self, inputs: Tensor) -> Logits:
        """uint8 (b, t, p, h, w) -> Logits."""
        logits: Logits = self.network(self.normalise(inputs))
        return logits


class HeadModule(Learner):
    """The heads of a network, trained on features; checkpoints of Lightning's hold nothing of the backbone, which never changes."""

    def __init__(self, head: nn.Module, *, learning_rate: float) -> None:
        super().__init__(learning_rate)
        self.head = head

    def answer(self, inputs: Tensor) -> Logits:
        """Features float32 (b, t, f) -> Logits."""
        logits: Logits = self.head(inputs)
        return logits

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The same Adam in one pass over the weights, which is most of what a step of the heads does."""
        return torch.optim.Adam(self.head.parameters(), lr=self.learning_rate, fused=True)


def modules_at_rest(network: Network, trainable: Trainable, batch_norm: BatchNormPolicy) -> list[nn.Module]:
    """The modules that stay in evaluation mode while the rest trains."""
    if trainable == "heads":
        return [network.backbone]
    norms: list[nn.Module] = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return norms[{"partial": 1, "frozen": 0, "train": len(norms)}[batch_norm] :]
