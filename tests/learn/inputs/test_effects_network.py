import os

import numpy as np
import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.learn.inputs.effects_network import (
    LOG_FLOOR,
    MAX_LEVEL,
    EffectsNetwork,
    effects_features,
    effects_spectrogram,
    load_effects,
    log_mel,
)
from tasks.learn.networks.sound_recipe import EFFECTS, num_spectra
from tests.learn.inputs.sound_reference import SECONDS, STEP, reference, signal

needs_aisfx = pytest.mark.skipif(EFFECTS.find() is None and not os.environ.get("CI"), reason=f"aisfx is not installed: {EFFECTS.install}")


@pytest.fixture(scope="module")
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EffectsNetwork().eval().requires_grad_(False)


@needs_aisfx
def test_the_features_are_those_of_the_published_code():
    network = load_effects(EFFECTS.find())
    with torch.inference_mode():
        found = network(effects_spectrogram(signal(44_100))[None, 10:110])[0].numpy()
    assert np.abs(found - reference()["features"]).max() < 1e-3


def test_a_file_as_aisfx_writes_it_is_loaded_as_weights_only(seeded, tmp_path):
    weights = {f"embedding_net.{key}": value for key, value in seeded.state_dict().items()}
    torch.save((weights | {"fc.0.0.weight": torch.zeros(2, 2)}, {"library": (0, 3)}), tmp_path / "checkpoint.pth")
    windows = torch.rand(2, 100, 96)
    with torch.inference_mode():
        assert torch.equal(load_effects(tmp_path / "checkpoint.pth")(windows), seeded(windows))


class Runs:
    """Would run code when it is unpickled."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content", [(Runs(), {}), ({}, {}), {"weights": torch.zeros(1)}, ({"embedding_net.bn1": torch.zeros(1)}, {}), 3])
def test_another_file_or_one_that_would_run_code_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "checkpoint.pth")
    with pytest.raises(BadCheckpoint, match=r"checkpoint\.pth: not the weights of aisfx"):
        load_effects(tmp_path / "checkpoint.pth")


def test_each_window_is_heard_at_its_time_and_equal_ones_once(seeded):
    samples, starts = signal(44_100), np.array([0, 0, 0.25, 0.5, 0.5], np.float32)
    seen = []
    found = effects_features(samples, starts, lambda windows: seen.append(len(windows)) or seeded(windows))
    assert seen == [3]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[3], found[4])
    with torch.inference_mode():
        spectrogram = effects_spectrogram(samples)
        alone = seeded(spectrogram[None, 11:111])[0].numpy()
    assert found[2] == pytest.approx(alone, abs=1e-5)


def test_behind_the_end_of_a_short_clip_is_silence(seeded):
    samples = signal(44_100)[: 44_100 // 2]
    longer = np.concatenate([samples, np.zeros(3 * 44_100, np.float32)])
    starts = np.zeros(1, np.float32)
    assert effects_features(samples, starts, seeded) == pytest.approx(effects_features(longer, starts, seeded), abs=1e-5)


def test_the_spectrograms_are_essentias_and_librosas():
    found = effects_spectrogram(signal(44_100)).numpy() * MAX_LEVEL
    assert np.abs(found[::STEP] - reference()["bands"]).max() < 1e-4
    found = log_mel(signal(24_000))
    assert found.shape == (num_spectra(SECONDS), 128)
    assert np.abs(found[::STEP] - reference()["log_mel"]).max() < 1e-4


@pytest.mark.parametrize("num_samples", [1, 2, 119, 240, 2047])
def test_a_sound_may_be_shorter_than_a_spectrum_and_silence_is_the_logarithm_of_the_floor(num_samples):
    assert log_mel(np.ones(num_samples, np.float32)).shape == (1 + num_samples // 120, 128)
    assert log_mel(np.zeros(24_000, np.float32)) == pytest.approx(np.full((201, 128), np.log(LOG_FLOOR)))
