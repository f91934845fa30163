"""The sound of a film follows its picture: things differ in colour, actions in their course."""

from functools import cache

import numpy as np
import pytest

from tests.films.film import Film, Interval, sound
from tests.films.samples import SILENT_EVERY, plan
from tests.films.sounds import RATE_HZ
from tests.films.things import NOUNS

VERBS = ("put", "take", "move")


@cache
def heard(verb: str, noun: str, seed: int) -> np.ndarray:
    """One action from 0.2 to 7.8 s."""
    return sound(Film("a.mp4", (3, seed), 8, (Interval(0.2, 7.8, verb, noun),), audio=True)) / 32767


def loudness(samples: np.ndarray) -> np.ndarray:
    """Of each tenth of a second."""
    return np.sqrt((samples.reshape(-1, RATE_HZ // 10) ** 2).mean(axis=1))


def centre_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    return float((spectrum * np.fft.rfftfreq(len(samples), 1 / RATE_HZ)).sum() / spectrum.sum())


def test_the_same_film_sounds_the_same_and_another_does_not():
    again = heard.__wrapped__("put", "meat", 1)
    assert np.array_equal(heard("put", "meat", 1), again)
    assert not np.array_equal(heard("put", "meat", 2), again)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("noun", NOUNS)
def test_verbs_have_their_course_loud_enough_and_never_clipped(noun, seed):
    for verb in VERBS:
        assert heard(verb, noun, seed).shape == (8 * RATE_HZ,)
        assert 0.03 < np.abs(heard(verb, noun, seed)).max() < 0.999
    put, take, move = (loudness(heard(verb, noun, seed)) for verb in VERBS)
    quiet = 0.006
    assert (put[:25] < quiet).all()
    assert 30 < put.argmax() < 55
    assert take[:12].max() > quiet < take[68:].max()
    assert (take[55:65] < quiet).all()
    assert (move > quiet).sum() > 15
    assert (move[:10] < quiet).all()
    assert (move[70:] < quiet).all()


@pytest.mark.parametrize("verb", ["put", "move"])
def test_nouns_have_their_colour(verb):
    centres = {noun: centre_hz(heard(verb, noun, 1)) for noun in NOUNS}
    assert sorted(centres, key=centres.__getitem__) in (["meat", "potato", "sauce", "bag"], ["potato", "meat", "sauce", "bag"])
    assert centres["bag"] > 1.5 * centres["sauce"] > 2.25 * max(centres["meat"], centres["potato"])


def test_some_films_have_no_sound():
    assert [film.audio for film in plan()] == [number % SILENT_EVERY > 0 for number in range(1, 13)]
    assert not any(film.audio for film in plan(audio=False))
