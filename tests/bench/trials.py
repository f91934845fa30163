"""Row `trials`: what a trial of a search costs once the features are there."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tasks.learn.inputs.data import CachedClip, View
from tasks.learn.inputs.features import training_features
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob, views_of
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tasks.options import TrainOptions
from tests.bench.material import CLASSES, emptied, network
from tests.bench.measure import Measure, Row, alternate, num_cores


def trials(folder: Path, quick: bool) -> list[Row]:
    """Trainings of heads over 40 clips, scored with ten crops of 10 more."""
    backbone, num_trials, num_fits, repetitions = ("test_resnet", 4, 2, 2) if quick else ("resnet50", 200, 20, 3)
    jobs = _jobs(folder, backbone, num_trials)
    _write_features(jobs)

    def seconds(num_processes: int) -> float:
        done: list[TrialOutcome | TrialFailure] = []
        started = time.perf_counter()
        run_trials(jobs, num_processes=num_processes, on_done=lambda index, outcome: done.append(outcome))
        assert not any(isinstance(outcome, TrialFailure) for outcome in done)
        return (time.perf_counter() - started) / num_trials

    def fit_seconds() -> float:
        started = time.perf_counter()
        for job in jobs[:num_fits]:
            fit(replace(job.train, folder=emptied(folder / "fit")))
        return (time.perf_counter() - started) / num_fits

    ways: dict[str, Measure] = {"as trainings": fit_seconds, "in one process": lambda: seconds(1)}
    values = alternate(ways | {f"in {num_cores()} processes": lambda: seconds(num_cores())}, repetitions)
    title = f"A trial of the heads of {backbone}, 4 to 10 epochs of 40 clips"
    limit = "the arithmetic of the steps, which takes two fifths of a trial's processor time; the rest is Lightning's"
    how = (
        f"Mean over {num_trials} trials (as trainings: {num_fits}, without a score), batches of 4, from cached features of noise, "
        "score with ten crops and start of the processes included."
    )
    return [Row("trials", title, "s", values, "as trainings", "less than 1 s", limit, how)]


def _jobs(folder: Path, backbone: str, num_trials: int) -> list[TrialJob]:
    rng = np.random.default_rng(0)
    clips = [CachedClip(folder / f"{number:05}.npy", number % 10, number % 20) for number in range(50)]
    shared = network(backbone)

    def job(number: int) -> TrialJob:
        drawn = {"learning_rate": 10 ** rng.uniform(-4, -2), "dropout": rng.uniform(0, 0.8)}
        shape = {"epochs": 4 + number % 7, "batch_size": 4, "schedule": "cosine" if number % 2 else "constant"}
        options = TrainOptions.model_validate({"backbone": backbone, "trainable": "heads", **drawn, **shape})
        train = TrainJob(shared, CLASSES, clips[:40], clips[40:], options, folder / "trial", device="cpu", features=folder / "features")
        return TrialJob(train, num_crops=10)

    return [job(number) for number in range(num_trials)]


def _write_features(jobs: list[TrialJob]) -> None:
    """Write noise as the features of all views, without frames and a backbone's passes."""
    train = max((job.train for job in jobs), key=lambda train: train.options.epochs)
    assert train.features is not None
    cache = training_features(train.features, train.network, "32-true")
    crops = [View(clip.frames, number=number, num_crops=10) for clip in train.val for number in range(10)]
    views = views_of(train) + crops
    cache.make_room(len(views))
    generator = torch.Generator().manual_seed(0)
    for view in views:
        cache.write(view.name, torch.rand(cache.shape, generator=generator))
