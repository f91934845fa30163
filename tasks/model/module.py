"""What Lightning trains: a network under the sum of both cross-entropies."""

# b: batch, t: segments, v: verbs, n: nouns

from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric

from tasks.model.consensus import Logits
from tasks.model.crops import Normalise
from tasks.model.data import NO_LABEL, Sample
from tasks.model.epochs import Scores
from tasks.model.network import Network

BatchNormPolicy = Literal["partial", "frozen", "train"]
Trainable = Literal["all", "heads"]


class Means(nn.Module):
    """The means of `Scores` over the clips of one pass, those of all processes together, each clip once."""

    def __init__(self) -> None:
        super().__init__()
        # Lightning wants each under a name of its own; "disable": a loss that is not a number must show.
        self.loss = MeanMetric(nan_strategy="disable")
        self.verb_loss = MeanMetric(nan_strategy="disable")
        self.noun_loss = MeanMetric(nan_strategy="disable")
        self.verb_top1 = MeanMetric(nan_strategy="disable")
        self.noun_top1 = MeanMetric(nan_strategy="disable")
        self.action_top1 = MeanMetric(nan_strategy="disable")

    def count(self, logits: Logits, batch: Sample) -> Tensor:
        """Count one batch; gives the loss of each clip (b,), 0 where it does not count."""
        verb_loss = functional.cross_entropy(logits.verb, batch.verb, reduction="none", ignore_index=NO_LABEL)
        noun_loss = functional.cross_entropy(logits.noun, batch.noun, reduction="none", ignore_index=NO_LABEL)
        loss = verb_loss + noun_loss
        verb_right, noun_right = logits.verb.argmax(1) == batch.verb, logits.noun.argmax(1) == batch.noun
        counts = batch.verb != NO_LABEL
        self.loss.update(loss.detach()[counts])
        self.verb_loss.update(verb_loss.detach()[counts])
        self.noun_loss.update(noun_loss.detach()[counts])
        self.verb_top1.update(verb_right[counts])
        self.noun_top1.update(noun_right[counts])
        self.action_top1.update((verb_right & noun_right)[counts])
        return loss


class ActionModule(pl.LightningModule):
    """Cross-entropy of verbs plus cross-entropy of nouns, Adam on whatever is trainable.

    `batch_norm` says which running statistics `train()` lets move: "partial" the first layer's alone (TSN, arXiv 1608.00859, section 3.2),
    "frozen" none, "train" all. Under `trainable="heads"` the backbone stays as it is in every respect.
    """

    def __init__(self, network: Network, *, learning_rate: float, trainable: Trainable, batch_norm: BatchNormPolicy) -> None:
        super().__init__()
        self.network = network
        self.normalise = Normalise(network.input_format)
        self.learning_rate = learning_rate
        self.still = modules_at_rest(network, trainable, batch_norm)
        network.backbone.requires_grad_(trainable == "all")
        self.train_means = Means()
        self.val_means = Means()

    def train(self, mode: bool = True) -> "ActionModule":
        """Switch to training, but for the modules that rest."""
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        """The mean loss of one batch, which all processes share: the mean of what each gives here."""
        losses = self._step(batch, "train", self.train_means)
        num_clips = (batch.verb != NO_LABEL).sum()
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(num_clips)
        return losses.sum() * self.trainer.world_size / num_clips

    def validation_step(self, batch: Sample, batch_index: int) -> None:
        """Count one batch."""
        self._step(batch, "val", self.val_means)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as the original experiment has it."""
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=self.learning_rate)

    def _step(self, batch: Sample, stage: str, means: Means) -> Tensor:
        losses = means.count(self.network(self.normalise(batch.images)), batch)
        self.log_dict({f"{stage}/{name}": getattr(means, name) for name in Scores.__dataclass_fields__}, on_step=False, on_epoch=True)
        return losses


def modules_at_rest(network: Network, trainable: Trainable, batch_norm: BatchNormPolicy) -> list[nn.Module]:
    """The modules that stay in evaluation mode while the rest trains."""
    if trainable == "heads":
        return [network.backbone]
    norms: list[nn.Module] = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return norms[{"partial": 1, "frozen": 0, "train": len(norms)}[batch_norm] :]
