"""The times at which the page reads a store, and the labels and suggestions that it finds."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from tasks.data.clips.label_inputs import append_to_log, epic_list_uris
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.pages.label import app
from tasks.pages.label.page_data import PageData
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.store.layout import Layout
from tasks.store.records.dataset import LabelledClip, LabelResult, LabelsFile
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.labelling import ClipStatement
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Scores
from tests.pages.label.page import PagesKeys, audit, person
from tests.pages.label.test_queue import cut_of
from tests.pipeline.shelf import Shelf, taken_in
from tests.records import some

STORE = "s3://retake"
HEADER = "video,start_seconds,stop_seconds,verb,noun\n"


def opened(*names, **options):
    """A store with a film of each name, and what a page reads of it."""
    shelf = Shelf()
    taken_in(shelf, names)
    return shelf, PageData(shelf, STORE, **options)


def two_views(data):
    """The verbs that each clip is known by in the first view, which waits for no label file, and in the second."""
    views = []
    for _ in range(2):
        data._read_view()
        views.append({uid: about.words.verb for uid, about in data._view.known.items()})
    return views


def test_no_view_that_is_there_waits_for_newer_ones(monkeypatch):
    data, go_on = PageData(None, STORE), Event()
    views = {recipe: SimpleNamespace() for recipe in ("most", "other")}
    monkeypatch.setattr(data, "_cuts", dict.fromkeys([*views, "new"]))
    monkeypatch.setattr(data, "_views", views)
    monkeypatch.setattr(data, "_view", views["most"])
    monkeypatch.setattr(data, "_read_view", lambda: go_on.wait(60))
    assert data.view_of("most") is views["most"]
    assert data._viewing.locked()
    assert data.view_of("other") is views["other"]
    monkeypatch.setattr(data, "_view_of", lambda *_: views["most"])
    with data._adding, pytest.raises(Unavailable, match="being read"):
        asyncio.run(data.first_view(0.01, "new"))
        data.view_of("new")
    assert data.view_of("new") is views["most"]
    assert data._viewing.locked(), "the views are still being read"
    go_on.set()


def test_a_store_that_did_not_answer_at_first_is_read_again_soon(monkeypatch):
    now = [0.0]
    shelf, data = opened("a.mp4", now=lambda: now[0])
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "folders", fails)
        data.begin()
        with data._viewing:
            assert data.view is None
    for now[0], is_read in ((2.0, False), (3.0, True)):
        data.begin()
        with data._viewing:
            assert bool(data._view) == is_read


def test_a_page_that_asks_every_three_seconds_shows_a_new_film_within_ten(monkeypatch):
    now = [0.0]
    shelf, data = opened("a.mp4", now=lambda: now[0])
    data._read_view()
    first, marks, num_videos = data.view, list[str](), list[int]()
    is_answered, renew = Event(), data._renew
    monkeypatch.setattr(data, "_renew", lambda: is_answered.wait(60) and renew())
    for now[0] in (2.9, 5.9, 8.9, 11.9):
        is_answered.clear()
        view = data.view
        is_answered.set()
        with data._viewing:
            marks.append(view.mark)
            num_videos.append(len(view.cut.by_video))
        if len(marks) == 1:
            taken_in(shelf, ["a.mp4", "b.mp4"])
    assert num_videos == [1, 1, 2, 2]
    assert marks == [first.mark] * 2 + [view.mark] * 2
    now[0] = 14.9
    assert data.view is view, "nothing is counted again where nothing is new"


def fails(*_, **__):
    raise Unavailable("the store does not answer")


def test_of_a_store_whose_last_film_was_forgotten_nothing_is_shown_any_more():
    shelf, data = opened("a.mp4")
    data._read_view()
    assert data._view
    shelf.objects.clear()
    data._read_view()
    assert (data._view, data.cuts, data.is_empty) == (None, [], True)


def test_labels_of_files_are_those_of_the_latest_build_whatever_it_cut_besides():
    shelf, cut = Shelf(), cut_of(1)
    (clip,) = cut.clips.values()
    build(shelf, clip, recipe_of(cut.options.model_copy(update={"cut": "both"})), "put")
    known, *_ = PageData(shelf, STORE)._known(cut, None)
    assert known[clip.uid].words.verb == "put"
    build(shelf, clip, cut.recipe, "take")
    modified = {listed.uri: f"2026-11-27T10:0{number}:00+00:00" for number, listed in enumerate(shelf.list("s3://retake/labels/"))}
    shelf.stat = lambda uri: (listed := Shelf.stat(shelf, uri)) and replace(listed, modified=modified[uri])
    words = [PageData(shelf, STORE)._known(cut, None)[0][clip.uid].words.verb]
    modified = dict(zip(modified, reversed(modified.values()), strict=True))
    words.append(PageData(shelf, STORE)._known(cut, None)[0][clip.uid].words.verb)
    assert sorted(words) == ["put", "take"]


def test_labels_of_files_that_no_build_has_read_come_with_the_second_view(monkeypatch):
    shelf, data = opened("put meat/a.mp4", "b.mp4")

    def seen():
        data._read_view()
        view, files = data._view, [label for of_video in data._view.of_files.values() for label in of_video]
        return sorted((label.words.verb, label.words.origin) for label in files), view.unread, view.num_built

    assert seen() == ([], (), 0), "the first view is there at once"
    folder, file = ("put", "folder put meat"), ("take", "1.csv:2")
    assert seen() == ([folder], (), 0)
    for name, content in (("1.csv", f"{HEADER}b.mp4,0,1,take,bag\nc.mp4,0,1,take,bag\n"), ("2.csv", "nonsense\n")):
        shelf.write_bytes(Layout(STORE).annotations.file(name), content.encode())
    before = dict(shelf.objects)
    labels, (bad, partly), _ = seen()
    assert labels == [folder, file]
    assert bad.startswith("2.csv: begins with 'nonsense'")
    assert partly.startswith("1.csv: 1 of its lines cannot be used")
    view = data._view
    assert seen() and data._view is view, "nothing is new"
    assert shelf.objects == before
    label.run(LabelArguments(store=STORE), shelf)
    with monkeypatch.context() as patch:
        patch.setattr(data, "_label", fails)
        assert seen() == (labels, view.unread, 0)
    assert data._view.mark == view.mark, "no page has anything new to show"
    taken_in(shelf, ["take bag/c.mp4"])
    assert [origin for _, origin in seen()[0]] == ["folder put meat", "1.csv:2", "1.csv:3"]


@pytest.mark.parametrize(
    ("folder", "verb"),
    [("put meat", "put"), ("mince tofu", None)],
    ids=["which is there again when the answer is taken back", "whose new words are no label beside labels of the page"],
)
def test_an_answer_over_the_label_of_a_folder(folder, verb):
    shelf, data = opened(f"{folder}/a.mp4", f"{folder}/b.mp4")
    data._read_view()
    uid, clip = next(iter(data._view.cut.clips.items()))
    span = {name: getattr(clip, name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
    about = {"by": "anna", "at": "2026-11-27T10:00:00Z", "token": "token-001", "answer": "action", "verb": "take", "noun": "bag"}
    said = ClipStatement(**about, **span)
    append_to_log(shelf, STORE, said, 0)
    label.run(LabelArguments(store=STORE), shelf)
    assert [view.get(uid) for view in two_views(PageData(shelf, STORE))] == [None, verb]


@pytest.mark.parametrize(("failure", "num_tries"), [(BadInput("damaged"), 1), (Unavailable("the store"), 3)])
def test_labels_that_no_build_has_read_are_tried_again_only_where_that_may_help(failure, num_tries):
    tries = []

    def fails(*_, **__):
        tries.append(1)
        raise failure

    _, data = opened("put meat/a.mp4", label=fails)
    for _ in range(4):
        data._read_view()
    assert len(tries) == num_tries


@pytest.mark.parametrize("damaged", ["labels.json", "result.json"])
def test_labels_of_a_build_that_nobody_can_read_keep_no_view_back(damaged):
    shelf, data = opened("put meat/a.mp4")
    label.run(LabelArguments(store=STORE), shelf)
    (uri,) = [uri for uri in shelf.objects if uri.startswith("s3://retake/labels/") and uri.endswith(damaged)]
    shelf.write_bytes(uri, b"{}")
    assert [set(view.values()) for view in two_views(data)] == [set(), {"put"}]


def test_the_keys_of_the_page_in_containers_reach_all_that_it_reads():
    shelf, _ = opened("mince meat/a.mp4", "b.mp4")
    label.run(LabelArguments(store=STORE), shelf)
    shelf.write_bytes(Layout(STORE).annotations.file("1.csv"), f"{HEADER}b.mp4,0,1,take,bag\n".encode())
    for uri in epic_list_uris(STORE).values():
        shelf.write_bytes(uri, b"id,class_key\n")
    audit(shelf, [some(DoubtfulLabel, uid="c")])
    kept = PagesKeys()
    kept.objects, kept.written = shelf.objects, shelf.written
    data = PageData(kept, STORE)
    assert [sorted(view.values()) for view in two_views(data)] == [["mince"], ["mince", "take"]]
    assert data.last_plan()
    assert list(data._view.audit.doubtful) == ["c"]


@pytest.mark.parametrize("failure", [BadConfiguration("refused"), Unavailable("the store"), BadInput("damaged")])
def test_an_audit_that_cannot_be_read_keeps_the_last_list_and_no_view_back(failure, monkeypatch, caplog):
    shelf, data = opened("a.mp4")
    audit(shelf, [some(DoubtfulLabel, uid="c")])
    data._read_view()
    audit(shelf, [], number=1)
    taken_in(shelf, ["a.mp4", "b.mp4"])
    read = shelf.read

    def refuses(at, *model):
        if isinstance(at, Scores):
            raise failure
        return read(at, *model)

    monkeypatch.setattr(shelf, "read", refuses)
    data._read_view()
    assert (len(data._view.cut.by_video), list(data._view.audit.doubtful)) == (2, ["c"])
    assert f"keeps its last list of doubtful labels: {failure}" in caplog.text


def build(shelf, clip, recipe, verb):
    """Label the clip as a build with this recipe does."""
    place = Layout(STORE).labels(recipe)
    labelled = some(LabelledClip, clip=some(ClipRecord, uid=clip.uid, video=clip.video), verb=verb, noun="meat", origin="labels.csv:2")
    shelf.write(place.clips, some(LabelsFile, segment=SegmentOptions(), options=LabelOptions(), clips=(labelled,)))
    shelf.write(place, some(LabelResult, labels_uri=place.clips.uri))


def test_a_view_that_takes_a_second_is_old_after_a_few(monkeypatch):
    seconds = [0.0]
    _, data = opened("put meat/a.mp4", now=lambda: seconds[0])
    read = data._read_view
    monkeypatch.setattr(data, "_read_view", lambda: (seconds.__setitem__(0, seconds[0] + 1), read()))
    data._viewing.acquire()
    data._renew()
    assert data._pause_seconds <= 6


ANNA = {"cookie": "who=anna"}
OTHER = "s3://retake-other"


class SlowShelf(Shelf):
    """Lists videos only when told to go on, and says which stores were read."""

    def __init__(self):
        super().__init__()
        self.go_on = Event()
        self.asked = list[str]()
        taken_in(self, ["a.mp4", "b.mp4"])

    def folders(self, folder_uri):
        if folder_uri.endswith("/videos/"):
            self.asked.append(folder_uri.removesuffix("/videos/"))
            assert self.go_on.wait(20)
        return super().folders(folder_uri)


@pytest.fixture
def shelf() -> Iterator[SlowShelf]:
    shelf = SlowShelf()
    yield shelf
    shelf.go_on.set()


@pytest.fixture
def stores(shelf) -> list[PageData]:
    return [PageData(shelf, uri, now=lambda: 0.0) for uri in (STORE, OTHER)]


@pytest.fixture
def page(stores) -> Iterator[TestClient]:
    with TestClient(app.make_app(stores, person, second_share=0)) as client:
        yield client


def read(data: PageData) -> None:
    """Wait until nothing is being read."""
    with data._viewing:
        pass


@pytest.mark.parametrize("name", ["icon.svg", "icon_dark.svg"])
def test_the_icon_is_a_picture_and_needs_a_login(page, shelf, name):
    assert page.get(f"/static/{name}").status_code == 401
    assert shelf.asked == []
    icon = page.get(f"/static/{name}", headers=ANNA)
    assert icon.headers["content-type"] == "image/svg+xml"
    picture = ElementTree.fromstring(icon.content)  # noqa: S314 - our own file
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    # The page's answers forbid styles of their own.
    assert not any("style" in (*element.attrib, element.tag) for element in picture.iter())


def test_the_icon_begins_to_read_the_clips_of_all_stores_and_waits_for_none(page, stores, shelf):
    assert page.get("/static/icon.svg", headers=ANNA).status_code == 200
    assert all(data._viewing.locked() for data in stores)
    assert page.get("/static/label.js", headers=ANNA).status_code == 200
    shelf.go_on.set()
    for data in stores:
        read(data)
    assert sorted(shelf.asked) == [STORE, OTHER]
    assert [video["name"] for video in page.get("/state", headers=ANNA).json()["videos"]] == ["a.mp4", "b.mp4"]
    assert sorted(shelf.asked) == [STORE, OTHER], "nothing is read twice"


def test_the_state_is_answered_as_soon_as_the_clips_are_read(page, stores, shelf, monkeypatch):
    monkeypatch.setattr(app, "WAIT_SECONDS", 20)
    first_view = PageData.first_view

    async def waits(data: PageData, seconds: float, recipe: str) -> None:
        assert data.view is None
        shelf.go_on.set()
        await first_view(data, seconds, recipe)

    monkeypatch.setattr(PageData, "first_view", waits)
    assert page.get("/state", headers=ANNA).json()["ready"] is True


def test_the_state_says_after_a_while_that_the_clips_are_still_being_read_and_of_an_empty_store_at_once(page, shelf, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(app, "WAIT_SECONDS", 0.05)
        patch.setattr(PageData, "is_empty", False)
        assert page.get("/state", headers=ANNA).json()["ready"] is False
    monkeypatch.setattr(app, "WAIT_SECONDS", 1000)
    shelf.go_on.set()
    with TestClient(app.make_app([PageData(shelf, OTHER)], person, second_share=0)) as client:
        state = client.get("/state", headers=ANNA).json()
    assert (state["ready"], state["is_empty"]) == (False, True)
