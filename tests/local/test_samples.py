from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.local.run import LONG_VIDEO, SAMPLES
from tests.films.film import Film, make_film
from tests.films.long import plan_long
from tests.films.samples import ACTIONS, plan, write_intervals

LONG = plan_long(num_videos=1)
FILMS = {film.name: (folder, film) for folder, films in ((SAMPLES, plan()), (LONG_VIDEO, LONG)) for film in films}


def luma(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(np.int16)


@pytest.mark.parametrize(("folder", "films"), [(SAMPLES, plan()), (LONG_VIDEO, LONG)])
def test_folder_is_the_plan_of_the_painter(tmp_path: Path, folder: Path, films: list[Film]):
    assert sorted(path.name for path in folder.iterdir()) == ["intervals.csv", *(film.name for film in films)]
    write_intervals(films, tmp_path / "intervals.csv")
    assert (folder / "intervals.csv").read_bytes() == (tmp_path / "intervals.csv").read_bytes()


def test_each_action_happens_once_in_the_long_film_and_pauses_lie_between():
    (film,) = LONG
    assert sorted((interval.verb, interval.noun) for interval in film.intervals) == sorted(ACTIONS)
    assert all(before.stop_seconds < after.start_seconds for before, after in pairwise(film.intervals))
    assert film.seconds > 4 * plan()[0].seconds


@pytest.mark.parametrize("name", FILMS)
def test_films_have_sound_as_planned(name: str):
    folder, film = FILMS[name]
    with av.open(str(folder / name)) as container:
        assert bool(container.streams.audio) == film.audio


# The long film has every action.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["long_01.mp4", *(pytest.param(film.name, marks=pytest.mark.long) for film in plan())])
def test_painter_draws_each_film(tmp_path: Path, name: str):
    folder, film = FILMS[name]
    make_film(film, find_ffmpeg(None), tmp_path)
    drawn, packaged = luma(tmp_path / name), luma(folder / name)
    # The same bytes where the processor is of the same kind; ffmpeg rounds colours otherwise on another, by which the encoded noise changes.
    assert np.abs(drawn - packaged).mean(axis=(1, 2)).max() < 4
