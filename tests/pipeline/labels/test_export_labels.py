"""What a prediction says is handed on as intervals where it has them, and comes back from Label Studio as the same intervals."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

from tasks.data.clips.gather_labels import PredictedVideos, labelled_intervals
from tasks.data.clips.label_inputs import append_to_log
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.formats import formats
from tasks.errors import BadConfiguration, BadInput
from tasks.options import LabelOptions
from tasks.pipeline.labels import export_labels
from tasks.pipeline.labels.contract import LabelsExportArguments
from tasks.predict.intervals import Interval
from tasks.predict.output_files import write_intervals
from tasks.predict.scored_video import FoundIntervals, Names
from tasks.store.layout import Layout
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.labelling import ClipStatement, IntervalStatement
from tasks.store.records.prediction import PredictBatchResult, ScoredVideo
from tasks.store.records.video import BatchRef
from tests.pipeline.shelf import Shelf, taken_in
from tests.predict.pages import planned
from tests.records import some

ROOT = "s3://retake"
KEY = "0123456789abcdef"
FILMS = ("seen.mp4", "quiet.mp4", "unseen.mp4")
NAMES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"})
WHEN = (Interval(2.5, 4.2, 0, 20, 0.75), Interval(4.2, 7.5, 1, 26, 0.625))


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def scored(name):
    windows = None if name == "unseen.mp4" else "s3://retake/w.parquet"
    return some(ScoredVideo, video=sha(name), name=name, windows_uri=windows)


@pytest.fixture
def shelf(tmp_path):
    """Three films of one clip, labelled by nobody, in each of which a network sees meat put; two have windows, and one an interval."""
    made = Shelf()
    taken_in(made, FILMS)
    labels = some(LabelsFile, recipe="r", options=LabelOptions().model_dump(), clips=())
    made.write(Layout(ROOT).labels("r").clips, labels)
    prediction = Layout(ROOT).prediction(KEY)
    batch = prediction.predicted(0)
    plan = planned(0.6).model_copy(update={"batches": (BatchRef(uri="s3://retake/b", name="all", out=batch.folder_uri),)})
    made.write(prediction.plan, plan)
    made.write(batch, some(PredictBatchResult, videos=tuple(map(scored, FILMS))))
    lines = ["video_sha256,network,rank,start_seconds,stop_seconds,action,action_probability"]
    lines += [f"{sha(name)},{network},1,0,8,{said},0.5" for name in FILMS for network, said in (("m", "put meat"), ("base", "take meat"))]
    made.write_bytes(prediction.report.table, "\n".join(lines).encode())
    made.write_bytes(prediction.report.uri, b"{}")
    others = (Interval(0, 8, 1, 20, 0.9),)
    suggested = [
        FoundIntervals(scored("seen.mp4"), ((0, 8),), {}, {"model": WHEN, "against": others}),
        FoundIntervals(scored("quiet.mp4"), ((0, 8),), {}, {"model": (), "against": others}),
    ]
    write_intervals(plan, suggested, NAMES, {sha(name): name for name in FILMS}, tmp_path)
    report = prediction.report
    made.intervals = {uri: (tmp_path / uri.rpartition("/")[2]).read_bytes() for uri in (report.intervals, report.intervals_rows)}
    return made


def export(shelf, out, **flags):
    export_labels.run(LabelsExportArguments(**{"format": "label-studio", "out": out, "store": ROOT} | flags), shelf)


def said(shelf, out, **flags):
    """By film, what its pre-annotations say, with the first and last frame and the score."""
    export(shelf, out, **flags)
    return {
        task["data"]["name"]: [
            (region["value"]["timelinelabels"][0], *region["value"]["ranges"][0].values(), region["score"])
            for prediction in task["predictions"]
            for region in prediction["result"]
        ]
        for task in json.loads(out.read_bytes())
    }


@pytest.mark.parametrize("key", [None, KEY], ids=["the latest", "by its key"])
def test_a_prediction_without_intervals_gives_its_clips(shelf, tmp_path, key):
    assert said(shelf, tmp_path / "tasks.json", prediction=key) == {name: [("put meat", 1, 240, 0.5)] for name in FILMS}


def test_a_video_with_windows_gives_the_reported_intervals_of_the_first_network_or_none(shelf, tmp_path):
    shelf.objects |= shelf.intervals
    assert said(shelf, tmp_path / "tasks.json") == {
        "seen.mp4": [("take bag", 76, 126, 0.75), ("put meat", 127, 225, 0.625)],
        "quiet.mp4": [],
        "unseen.mp4": [("put meat", 1, 240, 0.5)],
    }


def test_pre_annotations_that_people_accept_come_back_as_the_intervals_of_the_prediction(shelf, tmp_path):
    shelf.objects |= shelf.intervals
    export(shelf, tmp_path / "tasks.json")
    tasks = json.loads((tmp_path / "tasks.json").read_bytes())
    for task in tasks:
        task["annotations"] = [{"id": 1, "result": prediction["result"]} for prediction in task.pop("predictions")]
    accepted = AnnotationFile("accepted.json", json.dumps(tasks).encode())
    accepted_intervals = labelled_intervals(shelf, ROOT, PredictedVideos({sha("seen.mp4"): "seen.mp4"}, (accepted,))).intervals
    assert [(interval.verb_class, interval.noun_class) for interval in accepted_intervals] == [
        (interval.verb_class, interval.noun_class) for interval in WHEN
    ]
    for read, interval in zip(accepted_intervals, WHEN, strict=True):
        assert (read.start_seconds, read.stop_seconds) == pytest.approx((interval.start_seconds, interval.stop_seconds), abs=1 / 30)


def test_what_was_labelled_since_the_last_build_is_exported_though_nobody_gathered_it(shelf, tmp_path):
    shelf.write_bytes(
        f"{ROOT}/annotations/1.csv", b"video,start_seconds,stop_seconds,verb,noun\nseen,0.9,7.5,take,bag\nquiet,0.2,0.3,take,bag\n"
    )
    common = {"by": "ann", "at": "2026-11-27T10:00:00Z", "start_seconds": 0, "stop_seconds": 1}
    said = (
        ClipStatement(**common, token="a" * 32, video=sha("unseen.mp4"), uid="u", answer="action", verb="stir", noun="tea"),
        IntervalStatement(
            **(common | {"start_seconds": 5, "stop_seconds": 6.5}), token="b" * 32, video=sha("seen.mp4"), verb="put", noun="meat"
        ),
    )
    for statement in said:
        append_to_log(shelf, ROOT, statement, 0)
    export(shelf, tmp_path / "labels.csv", format="csv")
    spans = csv.DictReader((tmp_path / "labels.csv").read_text().splitlines())
    assert [(s["video"], float(s["start_seconds"]), float(s["stop_seconds"]), s["verb"], s["noun"]) for s in spans] == [
        ("quiet.mp4", 0.2, 0.3, "take", "bag"),
        ("seen.mp4", 0.9, 7.5, "take", "bag"),
        ("seen.mp4", 5, 6.5, "put", "meat"),
        ("unseen.mp4", 0, 1, "stir", "tea"),
    ]


@pytest.mark.parametrize(
    ("flags", "error", "told"),
    [
        ({"prediction": "f" * 16}, BadInput, "no finished prediction"),
        ({"prediction": KEY, "format": "csv"}, BadConfiguration, "has no pre-annotations"),
        ({"format": "words"}, BadConfiguration, f"nothing writes words; choose {', '.join(sorted(formats().writers))}$"),
        ({"out": Path("~nobody-of-this-name/x"), "format": "csv"}, BadConfiguration, "~nobody-of-this-name/x: there is no such user"),
        ({"out": Path("/proc/no/x"), "format": "csv"}, BadConfiguration, "name a file that can be written"),
    ],
)
def test_a_wrong_export_is_named(shelf, tmp_path, flags, error, told):
    with pytest.raises(error, match=told):
        export(shelf, **{"out": tmp_path / "x"} | flags)
