"""Six short films with labels in a store in memory, cut and split, and an MLflow that takes everything."""

from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from tasks.contracts.commands import STEPS
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.steps import _training
from tasks.steps.build_dataset import dataset, label, split
from tasks.steps.ingest_videos import ingest, segment
from tasks.steps.search import _fold_trainings, gather, search_report
from tasks.store.layout import Dataset
from tests.steps.shelf import Shelf, filmed

STORE = "s3://retake"
NAMES = tuple(f"{letter}.mp4" for letter in "abcdef")
CUTTING = {"clip_seconds": 2, "min_clip_seconds": 1}
INTERVALS = "video,start_seconds,stop_seconds,verb,noun\n" + "".join(
    f"{name},0.2,1.8,put,meat\n{name},2.1,3.7,take,bag\n" for name in NAMES
)


class Killed(BaseException):
    """The end of a process, or of all of Airflow."""


class Films(Shelf):
    """A store that keeps times, can be copied, and whose writer can be killed before a write."""

    num_writes, dies_at = 0, None

    def ensure_bucket(self, store_uri):
        pass

    def write_bytes(self, uri, data):
        if self.num_writes == self.dies_at:
            raise Killed
        self.num_writes += 1
        super().write_bytes(uri, data)

    def stat(self, uri):
        stored = super().stat(uri)
        return stored and replace(stored, modified="2026-11-27T11:00:00+00:00")

    def copy(self):
        copied = Films()
        copied.objects = dict(self.objects)
        return copied

    def under(self, folder):
        """Give the objects of a folder of the store."""
        return {uri: data for uri, data in self.objects.items() if uri.startswith(f"{STORE}/{folder}/")}


def run(step, store, **arguments):
    """Run a step as the command line does."""
    model = next(contract.arguments for contract in STEPS.values() if contract.full_module == step.__name__)
    return step.run(model(store=STORE, **arguments), store)


def annotate(store, name, table):
    store.write_bytes(f"{STORE}/annotations/{name}", table.encode())


def build(store):
    """Label, split and write the dataset of the clips on the grid."""
    run(label, store, **CUTTING)
    labels = f"{STORE}/labels/{recipe_of(SegmentOptions(**CUTTING))}/"
    run(split, store, labels=labels)
    run(dataset, store, labels=labels)


def val_of(store, uri):
    return [clip for clip in store.read(Dataset(uri).manifest).clips if clip.split == "val"]


@pytest.fixture(scope="session")
def cut_films(ffmpeg, tmp_path_factory):
    film = filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds=4).read_bytes()
    store = Films()
    for name in NAMES:
        store.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
    for batch in run(ingest, store, **CUTTING, out=f"{STORE}/ingests/x/").batches:
        run(segment, store, **CUTTING, batch=batch.uri)
    return store


@pytest.fixture(scope="session")
def labelled_films(cut_films):
    store = cut_films.copy()
    annotate(store, "intervals.csv", INTERVALS)
    build(store)
    return store


@pytest.fixture
def films(labelled_films, searching):
    return labelled_films.copy()


@pytest.fixture
def searching(monkeypatch, tmp_path):
    """Let searches run in this process, without MLflow."""
    settings = {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1, "MLFLOW_URI": "http://mlflow", "CODE_VERSION": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    tracker = MagicMock(**{"ensure_run.return_value": "r", "run_url.return_value": "http://mlflow/#/experiments/1/runs/r"})
    for step in (_training, _fold_trainings, gather, search_report):
        monkeypatch.setattr(step.Tracker, "from_settings", lambda settings: tracker)
