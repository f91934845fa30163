"""What the desk does while the store is read."""

from threading import Event
from types import SimpleNamespace

from tasks.labelling.desk import Desk


def test_no_view_that_is_there_waits_for_newer_ones(monkeypatch):
    desk, go_on = Desk(None, "s3://retake"), Event()
    views = {recipe: SimpleNamespace() for recipe in ("most", "other")}
    monkeypatch.setattr(desk, "_cuts", dict.fromkeys(views))
    monkeypatch.setattr(desk, "_views", views)
    monkeypatch.setattr(desk, "_view", views["most"])
    monkeypatch.setattr(desk, "_read_view", lambda: go_on.wait(5))
    assert desk.view_of("most") is views["most"]
    assert desk._viewing.locked()
    assert desk.view_of("other") is views["other"]
    assert desk._viewing.locked(), "the views are still being read"
    go_on.set()
