"""Deal the items of an epoch to processes, and load them in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Sampler

from tasks.learn.data import ClipDataset, ClipKey, Sample


@dataclass(frozen=True)
class Share:
    """This process's share of every batch: `rank`, from 0, of `num_processes`."""

    rank: int = 0
    num_processes: int = 1


class EpochSampler(Sampler[ClipKey]):
    """One process's keys of an epoch; Lightning sets the epoch, also after a resume.

    Keys are dealt to processes in turn, so that their batches together equal the larger batches of a single process. A short last round is
    filled with the last clip, which does not count there, so that every process has the same number of steps.
    """

    def __init__(self, dataset: ClipDataset, share: Share = Share()) -> None:
        self.dataset = dataset
        self.share = share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; called by Lightning before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.share.num_processes)

    def __iter__(self) -> Iterator[ClipKey]:
        keys = self.dataset.keys(self.epoch)
        keys += [keys[-1]._replace(counts=False)] * (-len(keys) % self.share.num_processes)
        return iter(keys[self.share.rank :: self.share.num_processes])


def make_loader(dataset: ClipDataset, *, batch_size: int, num_workers: int, pin_memory: bool, share: Share = Share()) -> DataLoader[Sample]:
    """Make a loader of a dataset's batches; `batch_size` counts only this process's clips."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(dataset, share),
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # creating an iterator must not draw from torch's global generator
    )
