"""The networks of a prediction, ready to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.model.crops import NumCrops
from tasks.model.engines.choice import NUM_CHECKED_CLIPS, Job, Wanted, spread
from tasks.model.engines.scorer import Scorer, make_scorer
from tasks.model.hardware import choose_device
from tasks.model.spec import NetworkSpec
from tasks.results.evaluation import EngineUsed
from tasks.results.prediction import Predictor
from tasks.settings import MachineSettings, load
from tasks.steps._frames import StoredClip, cache_test_frames, load_snippets
from tasks.steps._networks import fetch_network
from tasks.storage import Store

NUM_CALIBRATION_CLIPS = 8

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Ready:
    """One checkpoint on its engine; it takes snippets of each of `specs`."""

    scorer: Scorer
    specs: tuple[NetworkSpec, ...]
    used: EngineUsed


def make_ready(
    predictor: Predictor,
    clips: Sequence[StoredClip],
    trained_on: Sequence[StoredClip],
    *,
    wanted: Wanted,
    num_crops: NumCrops,
    store: Store,
    folder: Path,
) -> Ready:
    """Fetch a network and choose its engine.

    Args:
        predictor: whose checkpoint it is.
        clips: what it is to score.
        trained_on: training clips, which int8 is calibrated on.
        wanted: the engine, or "auto".
        num_crops: 10 or 1.
        store: where all of them lie.
        folder: for the checkpoint, until this returns.

    Raises:
        MissingObject: the checkpoint is gone.
        BadCheckpoint: it is not what was recorded.
        BadConfiguration: the engine cannot be had here.
    """
    saved = fetch_network(store, predictor.checkpoint_uri, predictor.checkpoint_sha256, folder)
    specs = tuple(network.spec for network in saved.networks)

    def job(spec: NetworkSpec) -> Job:
        def frames(some: Sequence[StoredClip], num_clips: int) -> list[Frames]:
            few = spread(some, num_clips)
            paths = cache_test_frames(store, few, spec)
            return [load_snippets(paths[clip.uid], spec) for clip in few]

        return Job(
            device=choose_device(load(MachineSettings).device),
            num_clips=len(clips),
            num_crops=num_crops,
            checked=lambda: frames(clips, NUM_CHECKED_CLIPS),
            calibration=lambda: frames(trained_on, NUM_CALIBRATION_CLIPS),
        )

    scorer, used = make_scorer(saved, wanted, [job(spec) for spec in specs])
    return Ready(scorer, specs, used)
