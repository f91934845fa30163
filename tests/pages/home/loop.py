"""A store in memory with a plausible summary, and the page *Retake* on it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Cookie, HTTPException

from tasks.pages.home.app import make_app
from tasks.pages.home.state import Samples
from tasks.store.layout import Layout
from tasks.store.records.record import SetAside
from tasks.store.records.status import (
    DatasetChange,
    DatasetStatus,
    FilmsStatus,
    KeptDataset,
    LabelCount,
    LabelsStatus,
    ModelStatus,
    PredictionsStatus,
    PredictionStatus,
    SpaceStatus,
    SpaceUse,
    SplitStatus,
    TrainingStatus,
    VersionStatus,
    WeakClass,
)
from tests.pages.label.page import PageStore

STORE = "s3://retake"
MODEL = "retake-tsn"
DIGEST, BEFORE = "b" * 16, "a" * 16
SAMPLES = Samples("s3://retake-sample", {"store": "s3://retake-sample", "sources": ["/samples"]})


def at(day: int, hour: int = 20) -> str:
    return f"2026-11-{day:02}T{hour:02}:41:00Z"


def version(number: int, day: int, top1: float, **changes) -> VersionStatus:
    known = {
        "event": "promoted",
        "reason": "better on actions by 8.3 points",
        "num_labelled": 40 * number,
        "num_clips": 15,
        "top1_now": top1 - 4,
    }
    intervals = {"interval": (max(0, top1 - 29), min(100, top1 + 35)), "interval_now": (max(0, top1 - 30), min(100, top1 + 20))}
    places = {
        "run_key": f"run{number}",
        "dataset": DIGEST,
        "report_url": f"http://localhost:5000/{number}",
        "mlflow_run_url": "http://localhost:5000/r",
    }
    return VersionStatus(version=number, at=at(day), top1=top1, **known | intervals | places | changes)


def weak(verb: str, noun: str, number: int, uids: tuple[str, ...] = ()) -> WeakClass:
    return WeakClass(name=f"{verb} {noun}", verb=verb, noun=noun, num_right=number, num_clips=12, uids=uids)


PREDICTION = PredictionStatus(
    at=at(29),
    prediction_uri=f"{STORE}/predictions/p/",
    report_url="http://localhost:5000/prediction",
    model="retake-tsn v4",
    num_videos=3,
    num_clips=411,
    unsure_share=0.31,
    unlike="More unlike the training clips than 99 % of those.",
    is_unlike=True,
    num_to_label=24,
)


def fill(store: PageStore, uids: tuple[str, ...] = (), *, num_clips: int = 20_000) -> PageStore:
    """Write every part of the summary."""
    place = Layout(STORE).status
    aside = tuple(SetAside(name=f"film_{number}.mov", reason="ffmpeg cannot read it: moov atom not found") for number in range(3))
    films = FilmsStatus(at=at(29), num_videos=250, num_clips=num_clips, num_new=2, new_at=at(28), num_set_aside=3, first_set_aside=aside)
    store.write(place.films, films)
    origins = tuple(
        LabelCount(kind=kind, name=name, num_clips=number)
        for kind, name, number in (
            ("folder", "put meat", 1800),
            ("file", "kitchen.csv", 2400),
            ("person", "anna", 612),
            ("person", "berta", 188),
        )
    )
    agreement = "Two readers agree on 87 % of 45 clips, kappa 0.82 [0.69, 0.91]."
    store.write(
        place.labels,
        LabelsStatus(
            at=at(28), num_clips=num_clips, num_labelled=5000, by_origin=origins, agreement=agreement, num_problems=0, num_statements=3
        ),
    )
    change = DatasetChange(
        before=BEFORE,
        num_videos_added=2,
        num_videos_removed=0,
        num_clips_added=160,
        num_clips_removed=4,
        num_relabelled=5,
        num_moved=0,
        classes_added=("wash pan",),
        classes_removed=(),
    )
    splits = tuple(
        SplitStatus(split=split, num_clips=number, num_sources=number // 20)
        for split, number in (("train", 3800), ("val", 700), ("test", 500))
    )
    kept = tuple(
        KeptDataset(digest=digest, at=at(day), num_clips=number) for digest, day, number in ((DIGEST, 28, 5000), (BEFORE, 20, 4844))
    )
    warnings = ("val has 3 clips of 'wash pan' from one film.", "2 recordings are in train and in val.")
    store.write(
        place.dataset,
        DatasetStatus(at=at(28), digest=DIGEST, splits=splits, num_unlabelled=15000, change=change, warnings=warnings, datasets=kept),
    )
    of_model = place.of_model(MODEL)
    store.write(
        of_model.training,
        TrainingStatus(
            at=at(28),
            run_key="run4",
            recipe="auto: a probe on resnet50 features, 5 seeds",
            num_train_clips=3800,
            estimate="about 1 h 20 min",
            expected_seconds=4800,
            dataset=DIGEST,
        ),
    )
    store.write(of_model.model, model(uids))
    store.write(place.predictions, PredictionsStatus(predictions=(PREDICTION,)))
    used = tuple(
        SpaceUse(name=name, num_objects=9, size_bytes=size << 20) for name, size in (("videos", 41000), ("clips", 28000), ("runs", 900))
    )
    store.write(place.space, SpaceStatus(at=at(24), before=used, after=used, is_dry_run=False))
    return store


def model(uids: tuple[str, ...] = ()) -> ModelStatus:
    versions = (
        version(
            5, 28, 44.0, event="kept", reason="Not promoted: 2.1 points better than the champion, and the interval [-3.0, 7.4] holds 0."
        ),
        version(4, 24, 42.0),
        version(2, 20, 33.0, event="champion again", reason="Rolled back from v3: worse in the evening", top1_now=None, interval_now=None),
        version(3, 18, 31.0),
        version(2, 12, 33.0, top1_now=None, interval_now=None),
        version(1, 8, 21.0, event="provisional", reason="the first of its name"),
    )
    classes = (
        weak("put", "meat", 2, uids),
        weak("wash", "pan", 3, uids),
        weak("take", "bag", 4, uids),
        weak("cut", "potato", 5),
        weak("open", "fridge", 6),
    )
    return ModelStatus(
        at=at(28),
        model_name=MODEL,
        champion=4,
        provisional=True,
        champion_since=at(24),
        split="test",
        num_doubtful=5,
        expected_gain=2.4,
        gain_interval=(0.3, 4.9),
        gain_clips=12,
        weak_classes=classes,
        versions=versions,
    )


def person(who: Annotated[str | None, Cookie()] = None) -> str:
    if who is None:
        raise HTTPException(401, "not logged in")
    return who


def app_of(store: PageStore, **given):
    """Make the page of a store, and of another that is empty."""
    return make_app(
        store, [STORE, SAMPLES.store], person, lambda address: f"/login?{urlencode({'next': address})}", **{"samples": SAMPLES} | given
    )
