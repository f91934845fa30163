"""Summaries of stores: any at all, and one of a loop that has run for a month."""

from hypothesis import strategies as st

from tasks.loop.next_steps import Live
from tasks.store.layout import Layout
from tasks.store.records.record import SetAside
from tasks.store.records.status import (
    DatasetChange,
    DatasetStatus,
    KeptDataset,
    LabelCount,
    LabelsStatus,
    LoopStatus,
    ModelStatus,
    PredictionsStatus,
    PredictionStatus,
    SpaceStatus,
    SpaceUse,
    SplitStatus,
    TrainingStatus,
    VersionStatus,
    VideosStatus,
    WeakClass,
)
from tests.records import some

NOW = "2026-11-30T21:00:00.000Z"
STORE = "s3://retake"
MODEL = "retake-tsn"


def maybe(model):
    """Any record of this model, or none."""
    return st.none() | st.from_type(model)


any_version = st.builds(VersionStatus, top1_now=st.none() | st.floats(0, 100), interval_now=st.none() | st.tuples(st.floats(), st.floats()))
any_model = st.builds(ModelStatus, versions=st.lists(any_version, max_size=4).map(tuple), champion=st.none() | st.integers(1, 3))
any_status = st.builds(
    LoopStatus,
    films=maybe(VideosStatus),
    labels=maybe(LabelsStatus),
    dataset=maybe(DatasetStatus),
    training=st.none() | st.builds(TrainingStatus, expected_seconds=st.none() | st.floats(0, 1e9)),
    model=st.none() | any_model,
    predictions=maybe(PredictionsStatus),
    space=maybe(SpaceStatus),
)
any_live = st.from_type(Live)


def version(number, at, event="promoted", **changes):
    """A version that was decided on, and scored on today's clips."""
    scores = {"top1": 30.0, "interval": (8.0, 60.0), "num_clips": 12, "top1_now": 40.0, "interval_now": (11.0, 75.0)}
    return some(
        VersionStatus, **{"version": number, "at": at, "event": event, "dataset": "d2", "run_key": f"{number:016x}"} | scores | changes
    )


def model_status(**changes):
    """Version 2 is champion, provisionally."""
    versions = (
        version(2, "2026-11-30T20:41:00.000Z", "provisional", num_clips=15, mlflow_run_url="http://mlflow/run"),
        version(1, "2026-10-30T08:00:00.000Z", dataset="d1"),
    )
    weak = (WeakClass(name="put meat", verb="put", noun="meat", num_right=1, num_clips=5, uids=("c1",)),)
    known = {"model_name": MODEL, "champion": 2, "provisional": True, "champion_since": "2026-11-30T20:41:00.000Z", "split": "val"}
    gain = {"expected_gain": 4.0, "gain_interval": (0.5, 9.0), "gain_clips": 200}
    return some(
        ModelStatus,
        **known | gain | {"num_doubtful": 5, "weak_classes": weak, "versions": versions, "now_dataset": "d2", "now_split": "val"} | changes,
    )


def status(**changes):
    """A loop at work: films, labels, a dataset, a champion and a prediction."""
    counts = {"num_clips": 300, "num_labelled": 40, "num_problems": 1, "num_statements": 100, "agreement": ""}
    splits = tuple(SplitStatus(split=split, num_clips=number, num_sources=3) for split, number in (("train", 20), ("val", 15), ("test", 5)))
    kept = tuple(KeptDataset(digest=digest, at=NOW, num_clips=40) for digest in ("d2", "d1"))
    parts = {
        "films": some(
            VideosStatus,
            at=NOW,
            num_videos=12,
            num_clips=300,
            num_new=2,
            new_at="2026-11-29T20:41:00.000Z",
            num_set_aside=3,
            first_set_aside=(SetAside(name="a.mp4", reason="broken"),),
        ),
        "labels": some(LabelsStatus, at=NOW, by_origin=(LabelCount(kind="person", name="ada", num_clips=40),), **counts),
        "dataset": some(
            DatasetStatus, at=NOW, digest="d2", splits=splits, num_unlabelled=260, datasets=kept, change=some(DatasetChange, before="d1")
        ),
        "training": some(TrainingStatus, at=NOW, dataset="d2", recipe="light", num_train_clips=20, expected_seconds=240.0),
        "model": model_status(),
        "predictions": PredictionsStatus(predictions=(some(PredictionStatus, at=NOW, num_to_label=12, unsure_share=0.25),)),
    }
    return LoopStatus(store=STORE, model_name=MODEL, **parts | changes)


def fill(store):
    """Write every part of the summary of a loop at work, and return it."""
    used = (some(SpaceUse, name="videos"),)
    state, place = status(space=some(SpaceStatus, at=NOW, before=used, after=used)), Layout(STORE).status
    of_model = place.of_model(MODEL)
    for part in ("films", "labels", "dataset", "predictions", "space"):
        store.write(getattr(place, part), getattr(state, part))
    store.write(of_model.training, state.training)
    store.write(of_model.model, state.model)
    return state
