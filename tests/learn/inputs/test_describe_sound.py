import numpy as np
import pytest

from tasks.errors import BadConfiguration
from tasks.learn.inputs import describe_sound
from tasks.learn.inputs.describe_sound import (
    CHUNK_SAMPLES,
    CONTEXT_SAMPLES,
    LOG_FLOOR,
    describer,
    detect_speech,
    load_speech,
    log_mel,
)
from tasks.learn.networks.sound_recipe import SPECTRA_PER_SECOND, SPEECH, installed_recipe, num_features, num_spectra, num_windows
from tasks.store.records.video import SoundRecipe, SoundState
from tests.learn.inputs.sound_reference import SECONDS, STEP, reference, signal

PLAIN = SoundRecipe(network=None, speech=None)


def test_features_without_a_network_are_the_mean_and_deviation_of_each_band():
    sound = describer(PLAIN).describe({24_000: signal(24_000)}, seconds=SECONDS, state=SoundState.HEARD)
    assert sound.features.shape == (num_windows(SECONDS), num_features(PLAIN))
    spectra = log_mel(signal(24_000))
    first = round(float(sound.starts_seconds[-1]) * SPECTRA_PER_SECOND)
    window = spectra[first : first + 464]
    assert sound.features[-1, :128] == pytest.approx(window.mean(axis=0), abs=0.01)
    assert sound.features[-1, 128:] == pytest.approx(window.std(axis=0), abs=0.01)
    assert sound.log_mel == pytest.approx(spectra, abs=0.01)
    assert sound.state is SoundState.HEARD
    assert sound.speech_share is None


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


def test_a_recipe_whose_network_is_not_installed_is_refused_with_the_remedy():
    with pytest.raises(BadConfiguration) as raised:
        describer(SoundRecipe(network=None, speech="other"))
    assert f"run `{SPEECH.install}`" in str(raised.value)


def test_speech_is_a_share_of_the_clip_and_a_feature_of_each_window(monkeypatch, tmp_path):
    half = lambda chunks: (np.arange(len(chunks)) < len(chunks) / 2).astype(np.float32)  # noqa: E731
    recipe = SoundRecipe(network=None, speech=SPEECH.sha256)
    monkeypatch.setattr(describe_sound, "installed_recipe", lambda: recipe)
    monkeypatch.setattr(type(SPEECH), "find", lambda self: tmp_path)
    monkeypatch.setattr(describe_sound, "load_speech", lambda path: half)
    hearing = describer(recipe)
    assert hearing.rates_hz == (16_000, 24_000)
    samples = {rate: np.ones(8 * rate, np.float32) for rate in hearing.rates_hz}
    sound = hearing.describe(samples, seconds=8, state=SoundState.HEARD)
    assert sound.speech_share == pytest.approx(0.5)
    assert sound.features.shape[1] == num_features(recipe) == 257
    shares = sound.features[:, -1]
    assert shares[0] == pytest.approx(1, abs=0.02)
    assert shares[-1] == 0
    assert (np.diff(shares) <= 1e-6).all()


@pytest.mark.skipif(installed_recipe() == PLAIN, reason="silero-vad is not installed")
def test_the_installed_networks_describe_a_sound_with_finite_numbers_twice_the_same():
    recipe = installed_recipe()
    hearing = describer(recipe)
    samples = {rate: signal(rate) for rate in hearing.rates_hz}
    once, twice = (hearing.describe(samples, seconds=SECONDS, state=SoundState.HEARD) for _ in range(2))
    assert once.features.shape == (num_windows(SECONDS), num_features(recipe))
    assert np.isfinite(once.features).all()
    assert np.array_equal(once.features, twice.features)


needs_silero = pytest.mark.skipif(SPEECH.find() is None, reason=f"silero-vad is not installed: {SPEECH.install}")


def vowels(seconds: float) -> np.ndarray:
    """A voice that rises and falls, through the formants of a, e, i, o: what a detector of speech takes for speech."""
    rate, rng = 16_000, np.random.default_rng(0)
    times = np.arange(round(rate * seconds)) / rate
    pitch = 120 + 25 * np.sin(2 * np.pi * 1.3 * times)
    phase = np.cumsum(pitch) / rate
    formants = [(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410)]
    spoken = np.zeros_like(times)
    for start in range(0, len(times), 3200):
        part = slice(start, start + 2600)
        places = formants[rng.integers(4)]
        for harmonic in range(1, 30):
            level = sum(np.exp(-(((harmonic * 120 - place) / 120) ** 2)) / (1 + n) for n, place in enumerate(places))
            spoken[part] += level * np.sin(2 * np.pi * harmonic * phase[part])
    return (0.3 * spoken / np.abs(spoken).max()).astype(np.float32)


def test_each_chunk_is_heard_with_the_end_of_the_one_before():
    samples = np.arange(1, 3 * CHUNK_SAMPLES - 99, dtype=np.float32)
    seen = []
    spoken = detect_speech(samples, lambda chunks: seen.append(chunks) or np.array([0.4, 0.5, 0.9], np.float32))
    (chunks,) = seen
    assert chunks.shape == (3, CONTEXT_SAMPLES + CHUNK_SAMPLES)
    assert not chunks[0, :CONTEXT_SAMPLES].any()
    assert np.array_equal(chunks[1, :CONTEXT_SAMPLES], chunks[0, -CONTEXT_SAMPLES:])
    assert np.array_equal(chunks[:, CONTEXT_SAMPLES:].ravel()[: len(samples)], samples)
    assert not chunks[2, -100:].any()
    assert spoken.tolist() == [False, True, True]


@needs_silero
def test_a_voice_is_speech_and_noise_is_not():
    detector = load_speech(SPEECH.find())
    hiss = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    for quiet in (np.zeros(32_000, np.float32), hiss, signal(16_000)):
        assert not detect_speech(quiet, detector).any()
    assert detect_speech(vowels(4), detector).mean() > 0.1


def test_the_spectrogram_is_librosas():
    spectra = log_mel(signal(24_000))
    assert spectra.shape == (num_spectra(SECONDS), 128)
    assert np.abs(spectra[::STEP] - reference()).max() < 1e-4


@pytest.mark.parametrize("num_samples", [1, 2, 119, 240, 2047])
def test_a_sound_may_be_shorter_than_a_spectrum_and_silence_is_the_logarithm_of_the_floor(num_samples):
    assert log_mel(np.ones(num_samples, np.float32)).shape == (1 + num_samples // 120, 128)
    assert log_mel(np.zeros(24_000, np.float32)) == pytest.approx(np.full((201, 128), np.log(LOG_FLOOR)))
