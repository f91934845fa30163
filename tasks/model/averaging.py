"""The exponential moving average of the weights, which is validated and kept in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class Averaging(WeightAveraging):
    """After each change of the weights: average = decay_n * average + (1 - decay_n) * weights, the average being the weights after the first.

    decay_n = min(decay, (1 + n) / (10 + n)) after n averages, as TensorFlow has it: what a short training begins with is soon forgotten.
    Batch-norm's statistics are averaged as the weights are, and counters are taken over. Lightning shows the average to validation and leaves
    it in the network when the training ends; a checkpoint has both.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(_average, decay))

    @contextmanager
    def shown(self, module: pl.LightningModule) -> Iterator[None]:
        """Have the average in the module's place for a while."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


def _average(decay: float, averages: list[Tensor], currents: list[Tensor], num_averaged: Tensor | int) -> None:
    """Bring averages, all of one type, up to date in place."""
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, currents, 1 - decay_after(decay, int(num_averaged)))
    else:
        torch._foreach_copy_(averages, currents)


def decay_after(decay: float, num_averaged: int) -> float:
    """The decay after so many averages."""
    return min(decay, (1 + num_averaged) / (10 + num_averaged))
