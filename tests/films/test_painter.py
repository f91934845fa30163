import itertools
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.video.ffmpeg import find_ffmpeg
from tests.films.film import Film, Interval, frames, make_film
from tests.films.samples import plan

pytestmark = pytest.mark.slow

FFMPEG = str(find_ffmpeg(None))


@given(seed=st.integers(0, 2**31 - 1), num_videos=st.integers(2, 14), num_slots=st.integers(1, 12))
def test_actions_are_spread_evenly_and_each_is_in_two_videos(seed, num_videos, num_slots):
    films = plan(seed=seed, num_videos=num_videos, video_seconds=num_slots * 8)
    shown = [[(i.verb, i.noun) for i in film.intervals] for film in films]
    assert all(len(set(actions)) == num_slots for actions in shown)
    counts = Counter(action for actions in shown for action in actions)
    assert min(counts.values()) >= 2
    assert max(counts.values()) - min(counts.values()) <= 1
    for film in films:
        borders = [t for i in film.intervals for t in (i.start_seconds, i.stop_seconds)]
        assert borders == sorted(borders)
        assert all(min(i.stop_seconds, 8 * n + 8) - max(i.start_seconds, 8 * n) > 5 for n, i in enumerate(film.intervals))


def test_the_same_film_gives_the_same_bytes_another_seed_other_pictures_and_the_track_can_be_left_out(tmp_path):
    film = Film("a.mp4", (5, 1), 2, (Interval(0.2, 1.8, "put", "meat"),), audio=True)
    for name, made in (("first", film), ("again", film), ("silent", replace(film, audio=False))):
        (tmp_path / name).mkdir()
        make_film(made, FFMPEG, tmp_path / name)
    first, again, silent = (tmp_path / name / "a.mp4" for name in ("first", "again", "silent"))
    assert first.read_bytes() == again.read_bytes()
    with av.open(str(silent)) as container:
        assert not container.streams.audio
    assert np.any(next(frames(film)) != next(frames(replace(film, seed=(6, 1)))))


def test_every_frame_is_noisy():
    drawn = list(frames(Film("a.mp4", (3, 1), 1, (Interval(0.1, 0.9, "put", "meat"),), audio=False)))
    assert [frame.shape for frame in drawn] == [(240, 320, 3)] * 15
    assert all(np.any(before != after) for before, after in itertools.pairwise(drawn))
