"""Of all objects of a store, those of a forgotten video go, and no other."""

import pytest

from tasks.data.clips.forgetting import Remover, survey
from tasks.store.layout import Layout
from tests.data.labels.records import video_of
from tests.pipeline.shelf import Shelf, taken_in

STORE = "s3://retake"
ROOT = Layout(STORE)
OTHER = "kitchen/bag.mp4"


@pytest.fixture
def store():
    return Shelf(b"film")


def forgotten(store, name):
    """Forget a video of this name; return the remover, and the traces."""
    remover = Remover(store, STORE, survey(store, STORE, [video_of(name)], at="", by="ada", reason=""))
    traces = remover.find()
    remover.remove(traces)
    assert remover.find() == []
    return traces


@pytest.mark.parametrize("name", ["source.mp4", "cam/source.mp4", "cam/0000.mp4", "cam/000000000-000008000.mp4", "cam/film.mp4"])
def test_a_name_that_the_store_gives_files_itself_is_found_among_peoples_files_alone(store, name):
    video, other = video_of(name), video_of(OTHER)
    taken_in(store, [name, OTHER])
    for each in (video, other):
        store.write_bytes(ROOT.video(each).source(".mp4"), b"film")
        store.write_bytes(ROOT.clips(each, "r").clip_around(0, 8000), b"film")
    store.write_bytes(ROOT.dataset("d").manifest.uri, store.objects[ROOT.clips(other, "r").uri])
    store.write_bytes(ROOT.annotations.file("l.csv"), f"uid,verb,noun\n{name},put,meat\n{OTHER},take,bag\n".encode())
    store.write_bytes(ROOT.inbox.file(name), b"film")
    before = dict(store.objects)
    forgotten(store, name)
    own = {uri for uri in before if video in uri or "/inbox/" in uri}
    assert before.keys() - store.objects.keys() == own
    assert store.objects[ROOT.annotations.file("l.csv")] == f"uid,verb,noun\n{OTHER},take,bag\n".encode()


def test_a_package_stays_whatever_the_film_is_called(store):
    taken_in(store, ["cam/clip.mp4"])
    uri = f"{ROOT.run('0123').package('k').files}README.md"
    store.write_bytes(uri, b"python predict.py clip.mp4")
    forgotten(store, "cam/clip.mp4")
    assert uri in store.objects


def test_objects_are_deleted_together_and_marks_before_them(store, monkeypatch):
    deleted, delete = [], store.delete
    monkeypatch.setattr(store, "delete", lambda uris: [deleted.append(list(uris)), delete(deleted[-1])])
    taken_in(store, ["a.mp4"])
    for number in range(9):
        store.write_bytes(ROOT.clips(video_of("a.mp4"), "r").clip(number), b"film")
    forgotten(store, "a.mp4")
    assert [len(uris) for uris in deleted] == [2, 9]
