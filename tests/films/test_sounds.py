"""The sound of a film follows its picture: things differ in colour, actions in their course."""

from functools import cache

import numpy as np
import pytest

from tests.films.motion import VERBS, Action
from tests.films.samples import SILENT_EVERY, plan
from tests.films.scene import kitchen
from tests.films.sounds import RATE_HZ, soundtrack
from tests.films.things import NOUNS


@pytest.fixture(scope="module")
def heard():
    """Draws the sound of an action from 0.2 to 7.8 s."""
    drawn = np.random.default_rng(3)
    scene, things = kitchen(drawn), {noun: draw(drawn) for noun, draw in NOUNS.items()}

    @cache
    def heard(verb, noun, seed):
        rng = np.random.default_rng(seed)
        action = Action(0.2, 7.8, things[noun], (0, 0), VERBS[verb](rng, scene, things[noun]))
        return soundtrack([(noun, action)], 8, rng) / 32767

    return heard


def loudness(samples: np.ndarray) -> np.ndarray:
    """Of each tenth of a second."""
    return np.sqrt((samples.reshape(-1, RATE_HZ // 10) ** 2).mean(axis=1))


def centre_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    return float((spectrum * np.fft.rfftfreq(len(samples), 1 / RATE_HZ)).sum() / spectrum.sum())


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("noun", NOUNS)
def test_verbs_have_their_course_loud_enough_and_never_clipped(heard, noun, seed):
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
def test_nouns_have_their_colour(heard, verb):
    assert not np.array_equal(heard(verb, "meat", 1), heard(verb, "meat", 2))
    centres = {noun: centre_hz(heard(verb, noun, 1)) for noun in NOUNS}
    assert sorted(centres, key=centres.__getitem__) in (["meat", "potato", "sauce", "bag"], ["potato", "meat", "sauce", "bag"])
    assert centres["bag"] > 1.5 * centres["sauce"] > 2.25 * max(centres["meat"], centres["potato"])


def test_some_films_have_no_sound():
    assert [film.audio for film in plan()] == [number % SILENT_EVERY > 0 for number in range(1, 13)]
    assert not any(film.audio for film in plan(audio=False))
