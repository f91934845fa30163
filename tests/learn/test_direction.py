"""Which networks can tell a film from its reverse: films that grow bright, and the same ones backwards."""

from pathlib import Path

import numpy as np
import pytest

from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import Family, Head, TrainOptions
from tests.learn.tiny import CLASSES, tiny, with_branches

pytestmark = pytest.mark.long


def both_ways(folder: Path, num_films: int, seed: int) -> list[CachedClip]:
    """Every film, and its reverse; the middle frames of four segments are the same ones, read forth or back."""
    rng, clips = np.random.default_rng(seed), []
    for number in range(num_films):
        brightness = np.linspace(0, 1, 20)[:, None, None, None]
        picture = rng.integers(60, 120, (8, 8, 3)).repeat(32, 0).repeat(32, 1)
        film = (brightness * rng.integers(80, 130, 3) + picture).astype(np.uint8)
        for verb, frames in enumerate((film, film[::-1])):
            clips.append(CachedClip(folder / f"{seed}-{number}-{verb}.npy", verb, 0))
            np.save(clips[-1].frames, frames)
    return clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("direction")


@pytest.fixture(scope="module")
def films(folder: Path) -> tuple[list[CachedClip], list[CachedClip]]:
    return both_ways(folder, 8, seed=0), both_ways(folder, 5, seed=1)


@pytest.mark.parametrize(
    ("family", "head"),
    [
        *((family, Head.LINEAR) for family in Family if family is not Family.VIDEO),
        *((Family.TSN, head) for head in Head if head is not Head.LINEAR),
    ],
)
def test_tsn_is_at_chance_and_those_that_see_the_order_of_segments_are_not(films, folder, family, head):
    options = TrainOptions(
        backbone="test_resnet",
        family=family,
        head=head,
        num_segments=4,
        trainable="heads",
        epochs=40,
        learning_rate=5e-3,
        batch_size=4,
        train_frames="middle",
        feature_variants=1,
        validate_every=10,
    )
    changes = {"consensus": CONSENSUS_OF_HEADS[head]} if head in CONSENSUS_OF_HEADS else {}
    network = with_branches(Network(tiny(family, num_segments=4, **changes), seed=1))
    outcome = fit(TrainJob(network, CLASSES, *films, options, folder / f"{family}-{head}", "cpu", features=folder / "features"))
    accuracies = [record.val.verb_top1 for record in outcome.history if record.val]
    if family is Family.TSN and head in (Head.LINEAR, Head.PROBE):
        # It answers a film and its reverse alike: it is right about one of every two, whatever it learned.
        assert accuracies == pytest.approx([0.5] * len(accuracies))
    else:
        assert accuracies[-1] > 0.8
