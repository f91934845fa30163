import numpy as np
import pytest

from tasks.errors import BadConfiguration
from tasks.learn.sound import describe
from tasks.learn.sound.describe import describer
from tasks.learn.sound.grid import SPECTRA_PER_SECOND, num_spectra, num_windows
from tasks.learn.sound.mel import log_mel
from tasks.learn.sound.recipe import EFFECTS, SPEECH, installed_recipe, num_features
from tasks.store.records.sound import SoundRecipe, SoundState
from tests.learn.sound.reference import SECONDS, signal

PLAIN = SoundRecipe(network=None, speech=None)


def test_features_without_a_network_are_the_mean_and_deviation_of_each_band():
    found = describer(PLAIN).describe({24_000: signal(24_000)}, seconds=SECONDS, state=SoundState.HEARD)
    assert found.features.shape == (num_windows(SECONDS), num_features(PLAIN))
    spectra = log_mel(signal(24_000))
    first = round(float(found.starts_seconds[-1]) * SPECTRA_PER_SECOND)
    window = spectra[first : first + 464]
    assert found.features[-1, :128] == pytest.approx(window.mean(axis=0), abs=0.01)
    assert found.features[-1, 128:] == pytest.approx(window.std(axis=0), abs=0.01)
    assert found.log_mel == pytest.approx(spectra, abs=0.01)
    assert found.state is SoundState.HEARD
    assert found.speech_share is None


@pytest.mark.parametrize(
    ("level", "given", "told"),
    [
        (0, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (2 / 32768, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (0, (SoundState.NO_TRACK, "it has no sound track"), (SoundState.NO_TRACK, "it has no sound track")),
    ],
)
def test_sound_that_is_never_loud_is_silence_and_why_there_is_none_is_kept(level, given, told):
    samples = {24_000: np.full(24_000, level, np.float32)}
    described = describer(PLAIN).describe(samples, seconds=1, state=given[0], reason=given[1])
    assert (described.state, described.reason) == told
    assert len(described.log_mel) == num_spectra(1)
    assert np.isfinite(described.features).all()


@pytest.mark.parametrize(
    ("weights", "recipe"), [(EFFECTS, SoundRecipe(network="other", speech=None)), (SPEECH, SoundRecipe(network=None, speech="other"))]
)
def test_a_recipe_whose_network_is_not_installed_is_refused_with_the_remedy(weights, recipe):
    with pytest.raises(BadConfiguration) as raised:
        describer(recipe)
    assert f"run `{weights.install}`" in str(raised.value)


def test_speech_is_a_share_of_the_clip_and_a_feature_of_each_window(monkeypatch, tmp_path):
    half = lambda chunks: (np.arange(len(chunks)) < len(chunks) / 2).astype(np.float32)  # noqa: E731
    recipe = SoundRecipe(network=None, speech=SPEECH.sha256)
    monkeypatch.setattr(describe, "installed_recipe", lambda: recipe)
    monkeypatch.setattr(type(SPEECH), "find", lambda self: tmp_path)
    monkeypatch.setattr(describe.speech, "load_speech", lambda path: half)
    hearing = describer(recipe)
    assert hearing.rates_hz == (16_000, 24_000)
    samples = {rate: np.ones(8 * rate, np.float32) for rate in hearing.rates_hz}
    found = hearing.describe(samples, seconds=8, state=SoundState.HEARD)
    assert found.speech_share == pytest.approx(0.5)
    assert found.features.shape[1] == num_features(recipe) == 257
    shares = found.features[:, -1]
    assert shares[0] == pytest.approx(1, abs=0.02)
    assert shares[-1] == 0
    assert (np.diff(shares) <= 1e-6).all()


@pytest.mark.skipif(installed_recipe() == PLAIN, reason="neither aisfx nor silero-vad is installed")
def test_the_installed_networks_describe_a_sound_with_finite_numbers_twice_the_same():
    recipe = installed_recipe()
    hearing = describer(recipe)
    samples = {rate: signal(rate) for rate in hearing.rates_hz}
    once, twice = (hearing.describe(samples, seconds=SECONDS, state=SoundState.HEARD) for _ in range(2))
    assert once.features.shape == (num_windows(SECONDS), num_features(recipe))
    assert np.isfinite(once.features).all()
    assert np.array_equal(once.features, twice.features)
