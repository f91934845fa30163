"""The sound of a film follows its picture: things differ in colour, actions in their course."""

import av
import numpy as np
import pytest

from tasks.local.run import LONG_VIDEO
from tests.films.film import sound
from tests.films.long import plan_long
from tests.films.sounds import RATE_HZ

pytestmark = pytest.mark.slow

NUM_BANDS = 16


def levels(samples):
    """The level of each band of each tenth of a second."""
    windows = samples[: len(samples) // (RATE_HZ // 10) * (RATE_HZ // 10)].reshape(-1, RATE_HZ // 10)
    spectrum = np.abs(np.fft.rfft(windows))[:, :-1]
    return np.sqrt(spectrum.reshape(len(windows), NUM_BANDS, -1).mean(-1))


def test_the_packaged_film_of_all_actions_sounds_as_it_is_drawn():
    (film,) = plan_long(num_videos=1)
    with av.open(str(LONG_VIDEO / film.name)) as container:
        assert container.streams.audio[0].rate == RATE_HZ
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    drawn = levels(sound(film) / 32767)
    assert np.corrcoef(levels(heard)[: len(drawn)].ravel(), drawn.ravel())[0, 1] > 0.995
