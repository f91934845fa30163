"""Describe the sound of a clip by its spectrogram, its features and the share of speech."""

# n: samples, s: spectra, w: windows, f: features, m: mel bands

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.learn.sound import effects, speech
from tasks.learn.sound.grid import SPECTRA_PER_SECOND, SPECTRUM_RATE_HZ, WINDOW_SECONDS, num_spectra, window_starts
from tasks.learn.sound.mel import LOG_FLOOR, log_mel
from tasks.learn.sound.recipe import EFFECTS, SPEECH, installed_recipe
from tasks.learn.sound.stored import Sound
from tasks.store.records.sound import SoundRecipe, SoundState

Samples = Mapping[int, NDArray[np.float32]]
"""float32 (n,) of the whole clip, by rate in Hz."""

Features = Callable[[Samples, NDArray[np.float16], NDArray[np.float32]], NDArray[np.float32]]
"""Computes the features (w, f) from samples, the spectrogram (s, m) and the starts of the windows (w,)."""

SILENT_PEAK = 1e-4
"""-80 dB of full scale. Sound that is never louder is silence: 16 bits end at -90 dB."""

WINDOW_SPECTRA = round(WINDOW_SECONDS * SPECTRA_PER_SECOND)


@dataclass(frozen=True)
class Describer:
    """Describes sound by one recipe.

    Attributes:
        recipe: the networks that hear it.
        rates_hz: the rates that the sound is needed at.
    """

    recipe: SoundRecipe
    rates_hz: tuple[int, ...]
    _features: Features
    _speech: speech.SpeechDetector | None

    def describe(self, samples: Samples, *, seconds: float, state: SoundState, reason: str = "") -> Sound:
        """Describe the sound of a clip; the same samples give the same description on the same machine.

        Args:
            samples: at each of `rates_hz`.
            seconds: length of the clip.
            state: HEARD, which becomes SILENT if there is only silence; or why there is nothing to hear.
            reason: the part that is missing, in plain words.
        """
        spectra = log_mel(samples[SPECTRUM_RATE_HZ]).astype(np.float16)
        assert len(spectra) == num_spectra(seconds)  # noqa: S101 - samples of another length would be out of step with the picture
        if state is SoundState.HEARD and np.abs(samples[SPECTRUM_RATE_HZ]).max() <= SILENT_PEAK:
            state, reason = SoundState.SILENT, reason or "its sound is silence"
        starts = window_starts(seconds)
        features, share = self._features(samples, spectra, starts), None
        if self._speech is not None:
            spoken = speech.hear_speech(samples[speech.RATE_HZ], self._speech)
            share = float(spoken.mean())
            features = np.column_stack([features, _shares(spoken, starts)])
        return Sound(spectra, features, starts, state, reason, share)


def describer(recipe: SoundRecipe) -> Describer:
    """Load the networks of a recipe.

    Raises:
        BadConfiguration: a network of the recipe is not installed here.
    """
    _check_installed(recipe)
    rates = {SPECTRUM_RATE_HZ}
    features: Features = _statistics
    detector: speech.SpeechDetector | None = None
    if recipe.network is not None and (path := EFFECTS.find()):
        features = partial(_heard, effects.load_effects(path))
        rates.add(effects.RATE_HZ)
    if recipe.speech is not None and (path := SPEECH.find()):
        detector = speech.load_speech(path)
        rates.add(speech.RATE_HZ)
    return Describer(recipe, tuple(sorted(rates)), features, detector)


def _check_installed(recipe: SoundRecipe) -> None:
    here = installed_recipe()
    for weights, wanted, found in ((EFFECTS, recipe.network, here.network), (SPEECH, recipe.speech, here.speech)):
        if wanted is not None and wanted != found:
            raise BadConfiguration(f"sound was described with {weights.distribution}, which is not installed here; run `{weights.install}`")


def _heard(network: effects.EffectsNetwork, samples: Samples, _: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    return effects.hear(samples[effects.RATE_HZ], starts, network)


def _statistics(_: Samples, spectra: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the mean and the deviation (w, 2 m) of each band in each window."""
    padded = np.pad(spectra.astype(np.float32), ((0, WINDOW_SPECTRA), (0, 0)), constant_values=np.log(LOG_FLOOR))
    firsts = np.rint(starts * SPECTRA_PER_SECOND).astype(int)
    windows = [padded[first : first + WINDOW_SPECTRA] for first in firsts]
    return np.stack([np.concatenate([window.mean(axis=0), window.std(axis=0)]) for window in windows])


def _shares(spoken: NDArray[np.bool_], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the share (w,) of speech in each window; where the clip has ended nobody speaks."""
    length = round(WINDOW_SECONDS * speech.CHUNKS_PER_SECOND)
    firsts = np.rint(starts * speech.CHUNKS_PER_SECOND).astype(int)
    return np.array([spoken[first : first + length].sum() / length for first in firsts], np.float32)
