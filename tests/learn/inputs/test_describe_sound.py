import numpy as np
import pytest

from tasks.learn.inputs.describe_sound import LOG_FLOOR, describe, log_mel
from tasks.learn.networks.sound_recipe import NUM_SOUND_FEATURES, SPECTRA_PER_SECOND, num_spectra, num_windows
from tasks.store.records.video import SoundState
from tests.learn.inputs.sound_reference import SECONDS, STEP, reference, signal


def test_features_are_the_mean_and_deviation_of_each_band_and_twice_the_same():
    sound, again = (describe(signal(24_000), seconds=SECONDS, state=SoundState.HEARD) for _ in range(2))
    assert np.array_equal(sound.features, again.features)
    assert sound.features.shape == (num_windows(SECONDS), NUM_SOUND_FEATURES)
    spectra = log_mel(signal(24_000))
    first = round(float(sound.starts_seconds[-1]) * SPECTRA_PER_SECOND)
    window = spectra[first : first + 464]
    assert sound.features[-1, :128] == pytest.approx(window.mean(axis=0), abs=0.01)
    assert sound.features[-1, 128:] == pytest.approx(window.std(axis=0), abs=0.01)
    assert sound.log_mel == pytest.approx(spectra, abs=0.01)
    assert sound.state is SoundState.HEARD


@pytest.mark.parametrize(
    ("level", "given", "told"),
    [
        (0, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (2 / 32768, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (0, (SoundState.NO_TRACK, "it has no sound track"), (SoundState.NO_TRACK, "it has no sound track")),
    ],
)
def test_sound_that_is_never_loud_is_silence_and_why_there_is_none_is_kept(level, given, told):
    described = describe(np.full(24_000, level, np.float32), seconds=1, state=given[0], reason=given[1])
    assert (described.state, described.reason) == told
    assert len(described.log_mel) == num_spectra(1)
    assert np.isfinite(described.features).all()


def test_the_spectrogram_is_librosas():
    spectra = log_mel(signal(24_000))
    assert spectra.shape == (num_spectra(SECONDS), 128)
    assert np.abs(spectra[::STEP] - reference()).max() < 1e-4


@pytest.mark.parametrize("num_samples", [1, 2, 119, 240, 2047])
def test_a_sound_may_be_shorter_than_a_spectrum_and_silence_is_the_logarithm_of_the_floor(num_samples):
    assert log_mel(np.ones(num_samples, np.float32)).shape == (1 + num_samples // 120, 128)
    assert log_mel(np.zeros(24_000, np.float32)) == pytest.approx(np.full((201, 128), np.log(LOG_FLOOR)))
