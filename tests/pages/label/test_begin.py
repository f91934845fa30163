"""The page reads its clips when anything of it is asked for, before anybody opens it."""

from collections.abc import Iterator
from threading import Event
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from tasks.pages.label import app
from tasks.pages.label.desk import Desk
from tests.pages.label.page import person
from tests.pipeline.shelf import Shelf, taken_in

ANNA = {"cookie": "who=anna"}
FIRST, OTHER = "s3://retake", "s3://retake-other"


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
def desks(shelf) -> list[Desk]:
    return [Desk(shelf, uri, now=lambda: 0.0) for uri in (FIRST, OTHER)]


@pytest.fixture
def page(desks) -> Iterator[TestClient]:
    with TestClient(app.make_app(desks, person, second_share=0)) as client:
        yield client


def read(desk: Desk) -> None:
    """Wait until the desk reads nothing."""
    with desk._viewing:
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


def test_the_icon_begins_to_read_the_clips_of_all_stores_and_waits_for_none(page, desks, shelf):
    assert page.get("/static/icon.svg", headers=ANNA).status_code == 200
    assert all(desk._viewing.locked() for desk in desks)
    assert page.get("/static/label.js", headers=ANNA).status_code == 200
    shelf.go_on.set()
    for desk in desks:
        read(desk)
    assert sorted(shelf.asked) == [FIRST, OTHER]
    assert [video["name"] for video in page.get("/state", headers=ANNA).json()["videos"]] == ["a.mp4", "b.mp4"]
    assert sorted(shelf.asked) == [FIRST, OTHER], "nothing is read twice"


def test_the_state_is_answered_as_soon_as_the_clips_are_read(page, desks, shelf, monkeypatch):
    monkeypatch.setattr(app, "WAIT_SECONDS", 20)
    first_view = Desk.first_view

    async def waits(desk: Desk, seconds: float, recipe: str) -> None:
        assert desk.view is None
        shelf.go_on.set()
        await first_view(desk, seconds, recipe)

    monkeypatch.setattr(Desk, "first_view", waits)
    assert page.get("/state", headers=ANNA).json()["ready"] is True


def test_the_state_says_after_a_while_that_the_clips_are_still_being_read(page, shelf, monkeypatch):
    monkeypatch.setattr(app, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(Desk, "is_empty", False)
    assert page.get("/state", headers=ANNA).json()["ready"] is False


def test_the_state_of_an_empty_store_waits_for_nothing(shelf, monkeypatch):
    monkeypatch.setattr(app, "WAIT_SECONDS", 1000)
    shelf.go_on.set()
    with TestClient(app.make_app([Desk(shelf, OTHER)], person, second_share=0)) as client:
        state = client.get("/state", headers=ANNA).json()
    assert (state["ready"], state["is_empty"]) == (False, True)
