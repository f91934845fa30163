"""The scored clips that these tests share with those of other rooms, and benches to run steps on."""

import subprocess

import pytest

from tasks.results.dataset import NO_OBJECT
from tasks.tracking import Registry, Tracker
from tests.scored_clips import make_clips, make_result, vocabulary
from tests.steps.retrain.bench import Bench, Book
from tests.steps.retrain.evaluating import score, shelf
from tests.steps.shelf import Shelf

__all__ = ["make_clips", "make_result", "score", "shelf", "vocabulary"]


@pytest.fixture(scope="session")
def films(ffmpeg, tmp_path_factory):
    """Two moving pictures of a second, each with a tone."""
    folder, made = tmp_path_factory.mktemp("films"), []
    for picture, hertz in (("testsrc2", 440), ("mandelbrot", 3000)):
        sources = [f"{picture}=s=320x240:r=30", f"sine=f={hertz}:r=48000"]
        inputs = [argument for source in sources for argument in ("-f", "lavfi", "-i", source)]
        path = folder / f"{picture}.mp4"
        command = [ffmpeg, "-nostdin", "-loglevel", "error", *inputs, "-t", "1", "-pix_fmt", "yuv420p", "-c:a", "aac", path]
        subprocess.run(command, check=True)
        made.append(path.read_bytes())
    return made


@pytest.fixture
def bench(films, tmp_path, monkeypatch):
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1, "MLFLOW_URI": "http://mlflow"}.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    book = Book(tmp_path / "registered")
    for client in (Tracker, Registry):
        monkeypatch.setattr(client, "from_settings", lambda settings: book)
    return Bench(Shelf(), book, films)


@pytest.fixture
def verbs(bench):
    """A bench with clips whose labels name no object."""
    bench.label(("wave", 125, NO_OBJECT, 352), ("наливать", 126, NO_OBJECT, 352))
    return bench
