"""Six short films with labels in a store in memory, cut and split."""

import pytest

from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.mlflow_in_memory import mlflow
from tests.pipeline.shelf import Fragile, filmed

__all__ = ["mlflow"]

NAMES = tuple(f"{letter}.mp4" for letter in "abcdef")
INTERVALS = "video,start_seconds,stop_seconds,verb,noun\n" + "".join(
    f"{name},0.2,1.8,put,meat\n{name},2.1,3.7,take,bag\n" for name in NAMES
)


class SearchBench(Bench):
    """The steps of a search, on clips of two seconds."""

    def __init__(self, store=None, **cutting):
        super().__init__(store or Fragile(), **{"clip_seconds": 2, "min_clip_seconds": 1} | cutting)

    def copy(self):
        return SearchBench(self.store.copy())

    def annotate(self, name, table):
        self.store.write_bytes(f"{STORE}/annotations/{name}", table.encode())

    def under(self, folder):
        """Give the objects of a folder of the store."""
        return {uri: data for uri, data in self.store.objects.items() if uri.startswith(f"{STORE}/{folder}/")}

    def val_of(self, dataset):
        """The clips of val of a dataset."""
        return [clip for clip in self.store.read(dataset.manifest).clips if clip.split == "val"]


@pytest.fixture(scope="session")
def cut_films(ffmpeg, tmp_path_factory):
    film = filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds=4).read_bytes()
    bench = SearchBench()
    for name in NAMES:
        bench.store.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
    bench.ingest()
    return bench


@pytest.fixture(scope="session")
def labelled_films(cut_films):
    bench = cut_films.copy()
    bench.annotate("intervals.csv", INTERVALS)
    bench.build()
    return bench


@pytest.fixture
def bench(labelled_films, mlflow, monkeypatch, tmp_path):
    settings = {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1, "CODE_VERSION": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    return labelled_films.copy()
