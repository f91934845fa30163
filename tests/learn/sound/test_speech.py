import numpy as np
import pytest

from tasks.learn.sound.recipe import SPEECH
from tasks.learn.sound.speech import CHUNK_SAMPLES, CONTEXT_SAMPLES, hear_speech, load_speech
from tests.learn.sound.reference import signal

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
    spoken = hear_speech(samples, lambda chunks: seen.append(chunks) or np.array([0.4, 0.5, 0.9], np.float32))
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
        assert not hear_speech(quiet, detector).any()
    assert hear_speech(vowels(4), detector).mean() > 0.1
