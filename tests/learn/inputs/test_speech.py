from importlib import metadata

import numpy as np
import pytest

from tasks.errors import BadConfiguration
from tasks.learn.inputs import speech
from tasks.learn.inputs.speech import CHUNK_SAMPLES, CONTEXT_SAMPLES, load_speech_detector, speech_share
from tests.learn.inputs.sound_reference import signal


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
    assert speech_share(samples, lambda chunks: seen.append(chunks) or np.array([0.4, 0.5, 0.9], np.float32)) == pytest.approx(2 / 3)
    (chunks,) = seen
    assert chunks.shape == (3, CONTEXT_SAMPLES + CHUNK_SAMPLES)
    assert not chunks[0, :CONTEXT_SAMPLES].any()
    assert np.array_equal(chunks[1, :CONTEXT_SAMPLES], chunks[0, -CONTEXT_SAMPLES:])
    assert np.array_equal(chunks[:, CONTEXT_SAMPLES:].ravel()[: len(samples)], samples)
    assert not chunks[2, -100:].any()


def is_installed() -> bool:
    return any(metadata.distributions(name=speech.PACKAGE))


@pytest.mark.skipif(not is_installed(), reason=f"silero-vad is not installed: {speech.INSTALL}")
def test_a_voice_is_speech_and_noise_is_not():
    detector = load_speech_detector()
    hiss = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    for quiet in (np.zeros(32_000, np.float32), hiss, signal(16_000)):
        assert speech_share(quiet, detector) == 0
    assert speech_share(vowels(4), detector) > 0.1


def test_without_the_package_nobody_listens_and_one_without_the_network_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(speech, "PACKAGE", "no-such-package")
    assert load_speech_detector() is None
    monkeypatch.setattr(speech, "PACKAGE", "numpy")
    monkeypatch.setattr(speech, "FILE", "other.onnx")
    with pytest.raises(BadConfiguration, match=r"other\.onnx: no such file .*run `pip install silero-vad==6\.2\.3`"):
        load_speech_detector()
