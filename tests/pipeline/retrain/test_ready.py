"""Clips in which a network of sound has nothing to hear are found where they are scored, from frames and from kept features alike."""

from types import SimpleNamespace

import numpy as np
import pytest

from tasks.learn.engines.choice import ScoringJob
from tasks.learn.engines.scorer import SharedFeatures, make_scorer
from tasks.learn.inputs.clip_files import example_input
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.learn.training.costs import complexity
from tasks.options import Modality
from tasks.pipeline.retrain._ready import Ready
from tasks.store.records.video import SoundRecipe

CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))
NUMBERS = {"num_segments": 2, "num_verbs": 5, "num_nouns": 4}
SEES = NetworkSpec(backbone="test_resnet", **NUMBERS)
SPECTROGRAM = NetworkSpec(backbone="test_resnet", modality=Modality.SPECTROGRAM, **NUMBERS)
SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND, sound=SoundRecipe(network=None, speech=None), **NUMBERS)
CLIPS = [SimpleNamespace(uid=uid, sha256=f"{uid}-") for uid in ("heard", "unheard", "another")]
UIDS = [clip.uid for clip in CLIPS]


def titles(specs):
    return " and ".join(spec.title for spec in specs) if isinstance(specs, list) else str(specs)


def inputs(spec, *, is_silent):
    if spec is SEES:
        return np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)
    return example_input(spec) * (0 if is_silent else 1)


@pytest.fixture
def make(tmp_path):
    def call(specs):
        saved = Saved(tuple(Network(spec) for spec in specs), (HeadWeights(1, 1),) * len(specs), CLASSES)
        job = ScoringJob(device="cpu", num_clips=3, num_crops=1, checked=list, calibration=list)
        scorer, used = make_scorer(saved, "pytorch", [job] * len(specs))
        shared = SharedFeatures(tmp_path, scorer, used, [clip.sha256 for clip in CLIPS])
        return Ready(scorer, specs, CLASSES, used, complexity(specs, 1), {}, shared)

    return call


@pytest.mark.parametrize("specs", [[SOUND], [SEES, SPECTROGRAM], [SOUND, SPECTROGRAM]], ids=titles)
def test_unheard_clips_are_those_whose_drawn_windows_are_silent(make, specs, caplog):
    first = make(specs)
    for clip in CLIPS:
        first.score(clip, [inputs(spec, is_silent=clip.uid == "unheard") for spec in specs])
    first.shared.close()
    again = make(specs)
    assert all(again.known(clip) for clip in CLIPS)
    assert first.unheard_among(UIDS) == again.unheard_among(UIDS) == ("unheard",)
    assert "1 of 3 clips have nothing to hear: unheard" in caplog.text
    assert again.unheard_among(UIDS[2:]) == ()


def test_a_network_that_sees_hears_nothing_and_misses_nothing(make):
    ready = make([SEES])
    ready.score(CLIPS[0], [np.zeros((2, 256, 300, 3), np.uint8)])
    assert ready.unheard_among(UIDS) == ()


@pytest.mark.parametrize(("specs", "own"), [([SOUND, SPECTROGRAM], 1), ([SEES, SPECTROGRAM], 10)], ids=titles)
def test_crops_are_those_of_the_networks_that_have_any(make, specs, own):
    assert (make(specs).own_crops(10), make(specs).own_crops(1)) == (own, 1)
