"""Of all objects of a store, those of a forgotten video go, and no other."""

import pytest

from tasks.data.clips.forgetting import Remover, survey
from tasks.store.layout import Layout
from tests.data.labels.records import INTERVALS, video_of
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


@pytest.mark.parametrize("name", ["cam1/00012.MTS", "cam1/00012.ogg", "cam/GL010123.LRV", "cam/VID_0001.insv"])
def test_a_name_with_any_ending_of_videos_goes_from_the_texts_that_people_read(store, name):
    taken_in(store, [name, OTHER])
    decision = ROOT.decision("k").uri
    store.write_bytes(decision, f'{{"reason":"worst on {name}"}}'.encode())
    forgotten(store, name)
    assert name.encode() not in store.objects[decision]


@pytest.mark.parametrize("name", ["0.1", "127.0.0.1", "train/best.pt", "report.html", "http://127.0.0.1:5000", "s3://retake/report.html"])
def test_a_video_is_called_as_its_sender_likes_and_nothing_of_others_goes_with_it(store, name):
    taken_in(store, [name, OTHER])
    in_folder = ROOT.inbox.file(f"{name}/b.mp4")
    for uri in (ROOT.inbox.file(name), in_folder):
        store.write_bytes(uri, b"film")
    labels, result = ROOT.annotations.file("l.csv"), ROOT.run("0123").train.uri
    store.write_bytes(labels, f"{INTERVALS}{OTHER},0.1,8,take,bag\n".encode())
    store.write_bytes(
        result,
        b'{"checkpoint_uri":"s3://retake/runs/0123/train/best.pt","rate":0.1,"url":"http://127.0.0.1:5000/#/1","page":"s3://retake/report.html"}',
    )
    before = dict(store.objects)
    forgotten(store, name)
    assert [store.objects[uri] for uri in (result, labels)] == [before[uri] for uri in (result, labels)]
    assert [uri for uri in store.objects if "/inbox/" in uri] == [in_folder]


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
