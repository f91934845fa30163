from pathlib import Path

import av
import numpy as np
import pytest

from tasks.local.run import SAMPLES
from tasks.video.ffmpeg import find_ffmpeg
from tests.films.film import make_film
from tests.films.samples import plan, write_intervals

FILMS = {film.name: film for film in plan()}


def luma(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(np.int16)


def test_folder_is_the_plan_of_the_painter(tmp_path: Path):
    assert sorted(path.name for path in SAMPLES.iterdir()) == ["intervals.csv", *FILMS]
    write_intervals(list(FILMS.values()), tmp_path / "intervals.csv")
    assert (SAMPLES / "intervals.csv").read_bytes() == (tmp_path / "intervals.csv").read_bytes()


@pytest.mark.parametrize("name", FILMS)
def test_films_have_sound_as_planned(name: str):
    with av.open(str(SAMPLES / name)) as container:
        assert bool(container.streams.audio) == FILMS[name].audio


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_painter_draws_each_film(tmp_path: Path, name: str):
    make_film(FILMS[name], find_ffmpeg(None), tmp_path)
    drawn, packaged = luma(tmp_path / name), luma(SAMPLES / name)
    # The same bytes where the processor is of the same kind; ffmpeg rounds colours otherwise on another, by which the encoded noise changes.
    assert np.abs(drawn - packaged).mean(axis=(1, 2)).max() < 4
