"""Which networks can tell a film from its reverse: generated clips in which to take is to put, backwards."""

from pathlib import Path

import numpy as np
import pytest

from tasks.model.class_names import ClassNames
from tasks.model.data import CachedClip
from tasks.model.job import TrainJob
from tasks.model.pretrained import build
from tasks.model.spec import spec_of
from tasks.model.training import fit
from tasks.options import Family, Head, TrainOptions, Weights

pytestmark = pytest.mark.slow

PUT, TAKE = 0, 1
NUM_FRAMES = 20
"""The middle frames of four segments are then the same ones, read forth or back."""


def film(rng: np.random.Generator) -> np.ndarray:
    """A hand lowers a thing onto an empty table and leaves: uint8 (20, 256, 256, 3)."""
    rows, columns = np.mgrid[:256, :256]
    table = np.broadcast_to(rng.integers(70, 110, 3) + rng.integers(-6, 6, (256, 256, 1)), (256, 256, 3))
    thing, hand = rng.integers(150, 255, 3), rng.integers((180, 130, 100), (220, 170, 140))
    x, bottom, radius = rng.integers(90, 166), rng.integers(120, 190), rng.integers(22, 34)
    frames = []
    for moment in np.linspace(0, 1, NUM_FRAMES):
        y = -60 + (bottom + 60) * min(moment / 0.45, 1)
        hand_y = y - (bottom + 120) * np.clip((moment - 0.55) / 0.3, 0, 1)
        frame = table.copy()
        frame[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = thing
        frame[(abs(columns - x) < 18) & (rows < hand_y - radius // 2)] = hand
        frames.append(frame)
    return np.stack(frames).astype(np.uint8)


def both_ways(folder: Path, num_films: int, seed: int) -> list[CachedClip]:
    """Every film, and its reverse."""
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(num_films):
        frames = film(rng)
        for verb, shown in ((PUT, frames), (TAKE, frames[::-1])):
            path = folder / f"{seed}-{number}-{verb}.npy"
            np.save(path, shown)
            clips.append(CachedClip(path, verb, 0))
    return clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("direction")


@pytest.fixture(scope="module")
def films(folder: Path) -> tuple[list[CachedClip], list[CachedClip]]:
    return both_ways(folder, 8, seed=0), both_ways(folder, 5, seed=1)


NETWORKS = [
    (Family.TSN, Head.LINEAR),
    (Family.TRN, Head.LINEAR),
    *(pytest.param(family, Head.LINEAR, marks=pytest.mark.long) for family in (Family.MTRN, Family.TSM)),
    *(pytest.param(Family.TSN, head, marks=pytest.mark.long) for head in Head if head is not Head.LINEAR),
]


@pytest.mark.parametrize(("family", "head"), NETWORKS)
def test_tsn_is_at_chance_and_those_that_see_the_order_of_segments_are_not(films, folder, family, head):
    is_linear = head is Head.LINEAR
    options = TrainOptions(
        backbone="tf_efficientnet_lite0",
        family=family,
        head=head,
        num_segments=4,
        trainable="heads",
        epochs=20,
        learning_rate=5e-3 if is_linear else 1e-3,
        batch_size=4,
        train_frames="random" if is_linear else "middle",
        feature_variants=1,
        validate_every=5,
    )
    spec = spec_of(options).model_copy(update={"num_verbs": 2, "num_nouns": 1})
    network, classes = build(spec, Weights.IMAGENET).network, ClassNames(verbs=("put", "take"), nouns=("thing",))
    outcome = fit(TrainJob(network, classes, *films, options, folder / f"{family}-{head}", "cpu", features=folder / "features"))
    accuracies = [record.val.verb_top1 for record in outcome.history if record.val]
    if family is Family.TSN and head in (Head.LINEAR, Head.PROBE):
        # It answers a film and its reverse alike: it is right about one of every two, whatever it learned.
        assert accuracies == pytest.approx([0.5] * len(accuracies))
    else:
        assert accuracies[-1] >= 0.9
