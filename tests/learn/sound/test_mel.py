import numpy as np
import pytest

from tasks.learn.sound.grid import num_spectra
from tasks.learn.sound.mel import LOG_FLOOR, log_mel
from tests.learn.sound.reference import SECONDS, STEP, reference, signal


def test_the_spectrogram_is_librosas():
    found = log_mel(signal(24_000))
    assert found.shape == (num_spectra(SECONDS), 128)
    assert np.abs(found[::STEP] - reference()["log_mel"]).max() < 1e-4


def test_silence_is_the_logarithm_of_the_floor():
    assert log_mel(np.zeros(24_000, np.float32)) == pytest.approx(np.full((201, 128), np.log(LOG_FLOOR)))


def test_a_tone_is_loudest_in_its_band_and_at_its_time():
    times = np.arange(48_000) / 24_000
    found = log_mel((np.sin(2 * np.pi * 1000 * times) * (times >= 1)).astype(np.float32))
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 12_000 / 700), 130)[1:-1] / 2595) - 1)
    assert abs(centres[found[300].argmax()] - 1000) < 50
    assert found[198].max() == pytest.approx(np.log(LOG_FLOOR))
    assert found[202].max() > 0


@pytest.mark.parametrize("num_samples", [1, 2, 119, 240, 2047])
def test_a_sound_may_be_shorter_than_a_spectrum(num_samples):
    assert log_mel(np.ones(num_samples, np.float32)).shape == (1 + num_samples // 120, 128)
