"""A store in memory with a plausible summary, and the page *Retake* on it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Cookie, HTTPException

from tasks.pages.home.app import Samples, make_app
from tasks.store.layout import Layout
from tasks.store.records import status
from tests.pages.label.page import PageStore
from tests.records import some

STORE = "s3://retake"
MODEL = "retake-tsn"
DIGEST, BEFORE = "b" * 16, "a" * 16
SAMPLES = Samples("s3://retake-sample", {"store": "s3://retake-sample", "sources": ["/samples"]})


def at(day: int) -> str:
    return f"2026-11-{day:02}T20:41:00Z"


def fill(store: PageStore) -> PageStore:
    """Write every part of the summary: version 4 is champion, and version 5 was kept."""
    place = Layout(STORE).status
    of_model = place.of_model(MODEL)
    versions = tuple(
        some(status.VersionStatus, version=number, at=at(day), event=event, interval=(10, 70))
        for number, day, event in ((5, 28, "kept"), (4, 24, "promoted"))
    )
    used = (some(status.SpaceUse, name="videos"),)
    store.write(place.films, some(status.FilmsStatus, at=at(29), num_clips=20_000, new_at=at(28)))
    store.write(place.labels, some(status.LabelsStatus, at=at(28), num_statements=3))
    store.write(place.dataset, some(status.DatasetStatus, at=at(28), digest=DIGEST))
    store.write(of_model.training, some(status.TrainingStatus, at=at(28)))
    store.write(of_model.model, some(status.ModelStatus, at=at(28), model_name=MODEL, champion=4, champion_since=at(24), versions=versions))
    store.write(place.predictions, status.PredictionsStatus(predictions=(some(status.PredictionStatus, at=at(29)),)))
    store.write(place.space, some(status.SpaceStatus, at=at(24), before=used, after=used))
    return store


def person(who: Annotated[str | None, Cookie()] = None) -> str:
    if who is None:
        raise HTTPException(401, "not logged in")
    return who


def app_of(store: PageStore, **given):
    """Make the page of a store, and of another that is empty."""
    return make_app(
        store, [STORE, SAMPLES.store], person, lambda address: f"/login?{urlencode({'next': address})}", **{"samples": SAMPLES} | given
    )
