"""What Lightning trains: a network under the sum of both cross-entropies."""

# b: batch, t: segments, v: verbs, n: nouns

from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from tasks.model.consensus import Logits
from tasks.model.crops import Normalise
from tasks.model.data import Sample
from tasks.model.network import Network

BatchNormPolicy = Literal["partial", "frozen", "train"]
Trainable = Literal["all", "heads"]


class Top1(nn.Module):
    """Shares of clips whose verb, noun, and both are right."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.verb = MulticlassAccuracy(network.spec.num_verbs, average="micro", validate_args=False)
        self.noun = MulticlassAccuracy(network.spec.num_nouns, average="micro", validate_args=False)
        self.action = MeanMetric()

    def update(self, logits: Logits, batch: Sample) -> None:
        """Count one batch."""
        self.verb.update(logits.verb, batch.verb)
        self.noun.update(logits.noun, batch.noun)
        self.action.update((logits.verb.argmax(1) == batch.verb) & (logits.noun.argmax(1) == batch.noun))


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
        self.train_metrics = Top1(network)
        self.val_metrics = Top1(network)

    def train(self, mode: bool = True) -> "ActionModule":
        """Switch to training, but for the modules that rest."""
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        """The loss of one batch."""
        return self._step(batch, "train", self.train_metrics)

    def validation_step(self, batch: Sample, batch_index: int) -> None:
        """Count one batch."""
        self._step(batch, "val", self.val_metrics)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as the original experiment has it."""
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=self.learning_rate)

    def _step(self, batch: Sample, stage: str, top1: "Top1") -> Tensor:
        logits = self.network(self.normalise(batch.images))
        verb_loss = functional.cross_entropy(logits.verb, batch.verb)
        noun_loss = functional.cross_entropy(logits.noun, batch.noun)
        loss = verb_loss + noun_loss
        top1.update(logits, batch)
        self.log_dict(
            {
                f"{stage}/loss": loss,
                f"{stage}/verb_loss": verb_loss,
                f"{stage}/noun_loss": noun_loss,
                f"{stage}/verb_top1": top1.verb,
                f"{stage}/noun_top1": top1.noun,
                f"{stage}/action_top1": top1.action,
            },
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.verb),
        )
        return loss


def modules_at_rest(network: Network, trainable: Trainable, batch_norm: BatchNormPolicy) -> list[nn.Module]:
    """The modules that stay in evaluation mode while the rest trains."""
    if trainable == "heads":
        return [network.backbone]
    norms: list[nn.Module] = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return norms[{"partial": 1, "frozen": 0, "train": len(norms)}[batch_norm] :]
