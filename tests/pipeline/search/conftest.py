"""Clips of six short films with labels in a store in memory, split."""

import pytest

from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tests.data.labels.records import video_of
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import Fragile, cut_into

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
def labelled_films():
    """Clips that nothing decodes."""
    bench = SearchBench()
    options = SegmentOptions(**bench.cutting)
    for name in NAMES:
        video, recipe = video_of(name), recipe_of(options)
        clips = [
            clip.model_copy(update={"start_seconds": 2.0 * number, "stop_seconds": 2.0 * number + 2, "num_frames": 60})
            for number, clip in enumerate(bench.store.clips(video, 2, recipe))
        ]
        cut_into(bench.store, video, tuple(clips), name, recipe, options)
    bench.annotate("intervals.csv", INTERVALS)
    bench.build()
    return bench


@pytest.fixture
def bench(labelled_films, mlflow, machine, monkeypatch):
    monkeypatch.setenv("RETAKE_CODE_VERSION", "test")
    return labelled_films.copy()
