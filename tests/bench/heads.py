"""Rows `epoch` and `sweep`: what features that are kept save where the heads alone are trained."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.network import to_channels_last
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import TrainOptions
from tests.bench.material import CLASSES, emptied, network, noise
from tests.bench.measure import Row, alternate

RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)


def _job(folder: Path, backbone: str, clips: Sequence[CachedClip], num_train: int, features: Path | None, **choice: object) -> TrainJob:
    options = TrainOptions.model_validate({"backbone": backbone, "trainable": "heads", **choice})
    shared, train, val = to_channels_last(network(backbone)), clips[:num_train], clips[num_train:]
    return TrainJob(shared, CLASSES, train, val, options, emptied(folder / "job"), device="cpu", features=features)


def epoch(folder: Path, quick: bool) -> list[Row]:
    """An epoch over 100 clips and its validation on 23, from one end to the next, with the checkpoints that it writes."""
    backbone, num_train, num_val, repetitions = ("test_resnet", 8, 4, 2) if quick else ("resnet50", 100, 23, 3)
    clips = noise(folder, num_train + num_val)
    kept = folder / "features"

    def seconds(features: Path | None, epochs: int) -> float:
        ends: list[float] = []
        job = _job(folder, backbone, clips, num_train, features, epochs=epochs, feature_variants=2)
        fit(job, on_epoch=lambda _: ends.append(time.perf_counter()))
        return float(np.median(np.diff(ends)))

    seconds(kept, 2)
    values = alternate({"through the backbone": lambda: seconds(None, 2), "features kept": lambda: seconds(kept, 6)}, repetitions)
    title, limit = (
        f"An epoch of the heads of {backbone}, {num_train} clips",
        "a step is Adam's one pass over two heads and what Lightning does around it",
    )
    how = (
        f"From the end of one epoch to the end of the next, batches of 1, validation on {num_val} clips and checkpoints included; "
        "the first epoch is left out. Frames of noise, random weights."
    )
    return [Row("epoch", title, "s", values, "through the backbone", "less than 1 s over 100 clips", limit, how)]


def sweep(folder: Path, quick: bool) -> list[Row]:
    """Five learning rates against one, each from nothing kept."""
    backbone, num_train, num_val, epochs, repetitions = ("test_resnet", 8, 4, 4, 2) if quick else ("resnet50", 50, 12, 20, 3)
    clips = noise(folder, num_train + num_val)

    def run(rates: tuple[float, ...]) -> None:
        features = emptied(folder / "features")
        for rate in rates:
            fit(_job(folder, backbone, clips, num_train, features, epochs=epochs, feature_variants=4, learning_rate=rate))

    values = alternate({"one learning rate": lambda: run(RATES[:1]), "five learning rates": lambda: run(RATES)}, repetitions)
    title = f"A sweep over the heads of {backbone}, {num_train} clips in 4 views, {epochs} epochs"
    target, limit = "little more than one run", "1 x: that the trainings themselves take no time"
    how = "From an empty cache to the last epoch of the last training; the features are computed once in each."
    return [Row("sweep", title, "s", values, "one learning rate", target, limit, how)]
