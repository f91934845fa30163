"""Average the weights exponentially, for validation and saving in place of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class Averaging(WeightAveraging):
    """Updates the average after each optimizer step.

    average = decay_n * average + (1 - decay_n) * weights. The average starts as the weights after the first step. As in TensorFlow, decay_n
    = min(decay, (1 + n) / (10 + n)) after n updates, so a short training soon forgets its first weights. Batch-norm statistics are averaged
    like weights; counters are copied. Lightning validates the average and leaves it in the network when training ends; a checkpoint holds
    both.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(_average, decay))

    @contextmanager
    def swapped_in(self, module: pl.LightningModule) -> Iterator[None]:
        """Put the averaged weights into the module for the block."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


def _average(decay: float, averages: list[Tensor], currents: list[Tensor], num_averaged: Tensor | int) -> None:
    """Update averages, all of one dtype, in place."""
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, currents, 1 - decay_after(decay, int(num_averaged)))
    else:
        torch._foreach_copy_(averages, currents)


def decay_after(decay: float, num_averaged: int) -> float:
    """Compute the decay after this number of updates."""
    return min(decay, (1 + num_averaged) / (10 + num_averaged))
