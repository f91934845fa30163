"""Fixtures of this folder with those of other rooms, and benches to run steps on."""

import pytest

from tasks.store.records.dataset import NO_OBJECT
from tests.pipeline.mlflow_in_memory import mlflow
from tests.pipeline.retrain.bench import TrainingBench
from tests.pipeline.retrain.evaluating import score, scorings, shelf, undrawn
from tests.pipeline.shelf import filmed
from tests.scored_clips import make_clips, make_result, vocabulary

__all__ = ["make_clips", "make_result", "mlflow", "score", "scorings", "shelf", "undrawn", "vocabulary"]


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
def bench(films, mlflow, undrawn, tmp_path, monkeypatch):
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1}.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    return TrainingBench(films, mlflow)


@pytest.fixture
def verbs(bench):
    """A bench with clips whose labels name no object."""
    bench.label(("wave", 125, NO_OBJECT, 352), ("наливать", 126, NO_OBJECT, 352))
    return bench
