"""Steps decode their few frames as the tests of clips do, on a CPU, and find films and an MLflow in memory."""

import pytest

from tests.data.clips.conftest import threads_decode
from tests.pipeline.mlflow_in_memory import mlflow
from tests.pipeline.shelf import filmed

__all__ = ["mlflow", "threads_decode"]


@pytest.fixture(scope="session")
def films(ffmpeg, tmp_path_factory):
    """Two moving pictures of a second, each with a tone."""
    folder = tmp_path_factory.mktemp("films")
    shown = (("testsrc2", 440), ("mandelbrot", 3000))
    return [
        filmed(ffmpeg, folder / f"{name}.mp4", picture=f"{name}=s=320x240:r=30", track=f"sine=f={hertz}:r=48000").read_bytes()
        for name, hertz in shown
    ]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A CPU, one process and an empty cache."""
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1}.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))


@pytest.fixture
def versions(films, mlflow, machine):
    from tests.pipeline.compare_versions.versions import Versions  # torch takes seconds to import

    return Versions(films, mlflow)
