"""How the command ends: its last words, and its files, of which nothing leads out of the folder that a person named."""

import json
import logging
from pathlib import Path
from unittest.mock import Mock

import pytest

from tasks.errors import BadConfiguration
from tasks.pipeline.predict_videos.predict import WRITTEN, _copy, in_words
from tasks.store.records.prediction import PredictPlanResult, PredictReportResult
from tasks.store.records.record import SetAside
from tasks.store.run_layout import Prediction
from tests.pipeline.shelf import Shelf

PREDICTION = "s3://retake/predictions/0123456789abcdef/"


@pytest.mark.parametrize(
    ("intervals", "words"),
    [
        (
            None,
            [
                "v2 reports 2 clips of 1 video; the likeliest:",
                "  a.mp4 0:08\N{EN DASH}0:16: put bag, 75.0 %",
                "  a.mp4 0:00\N{EN DASH}0:08: take cup, 50.0 %",
            ],
        ),
        (
            "a.mp4,v2,62,3723.5,take cup,0.9\n",
            ["v2 reports 1 interval of 1 video; the likeliest:", "  a.mp4 1:02\N{EN DASH}1:02:03.5: take cup, 90.0 %"],
        ),
        ("a.mp4,baseline,0,1,take cup,0.9\n", ["v2 reports 0 intervals of 1 video"]),
    ],
)
def test_a_person_reads_the_likeliest_actions_what_was_left_out_and_where_the_page_is(intervals, words):
    shelf, report = Shelf(), Prediction(PREDICTION).report
    rows = (
        "a.mp4,v2,1,0,8,take cup,0.5",
        "a.mp4,v2,2,0,8,put cup,0.4",
        "a.mp4,baseline,1,0,8,put pan,1",
        "a.mp4,v2,1,8,16,put bag,0.75",
    )
    shelf.write_bytes(report.table, "\n".join(("video,network,rank,start_seconds,stop_seconds,action,action_probability", *rows)).encode())
    shelf.write_bytes(report.intervals, f"video,network,start_seconds,stop_seconds,action,probability\n{intervals or ''}".encode())
    result = PredictReportResult.model_construct(
        num_videos=1,
        num_set_aside=3,
        first_set_aside=(SetAside(name="b.mp4", reason="damaged"),),
        missing=("version 1: its heads are untrained",),
        table_uri=report.table,
        intervals_uri=intervals and report.intervals,
        report_url="http://m/report.html",
    )
    left_out = ["b.mp4: damaged", "version 1: its heads are untrained", "2 more; the page lists them"]
    assert in_words(result, shelf) == [*words, *(f"left out: {reason}" for reason in left_out), "the page: http://m/report.html"]


def test_no_key_leads_out_of_the_folder(tmp_path, caplog):
    outside, folder, shelf = tmp_path / "outside", tmp_path / "to", Shelf()
    folder.mkdir()
    inside = ["index.html", "tracks/a b.vtt", "..a/...b", "a\\..\\b"]
    odd = [f"/{outside}/x", f"{outside}/x", "../outside/y", "a/../../outside/z", "a//b", "./c", "d/", "e\0f"]
    for name in (*inside, *odd, "result.json"):
        shelf.write_bytes(f"{PREDICTION}report/{name}", b"x")
    plan = PredictPlanResult.model_construct(prediction_uri=PREDICTION, batches=())
    with caplog.at_level(logging.INFO):
        _copy(plan, folder, shelf)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {*inside, WRITTEN}
    assert not outside.exists()
    assert sum("left in the store" in message for message in caplog.messages) == len(odd)


def test_the_files_of_an_earlier_prediction_go_and_nothing_else(tmp_path):
    folder, outside, shelf = tmp_path / "to", tmp_path / "outside.txt", Shelf()
    folder.mkdir()
    plan = PredictPlanResult.model_construct(prediction_uri=PREDICTION, batches=())
    names = ("report.html", "tracks/小 🍔.vtt", "changed.csv", "linked.csv")
    for name in names:
        shelf.write_bytes(f"{PREDICTION}report/{name}", b"x")
    _copy(plan, folder, shelf)
    (folder / "changed.csv").write_text("by a person")
    (folder / "own.txt").write_text("own")
    (folder / "linked.csv").unlink()
    outside.write_bytes(b"x")
    (folder / "linked.csv").symlink_to(outside)
    written = json.loads((folder / WRITTEN).read_text())
    state = [outside.stat().st_size, outside.stat().st_mtime_ns]
    (folder / WRITTEN).write_text(json.dumps(written | {"../outside.txt": state, str(outside): state, "linked.csv": state}))
    later = Shelf()
    later.write_bytes(f"{PREDICTION}report/report.html", b"later")
    _copy(plan, folder, later)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"report.html", "changed.csv", "own.txt", "linked.csv", WRITTEN}
    assert outside.exists()
    (folder / WRITTEN).write_text("no list")
    _copy(plan, folder, later)
    assert (folder / "own.txt").exists()


def test_files_of_a_copy_that_ended_early_go_with_the_next(tmp_path, monkeypatch):
    plan, shelf, later = PredictPlanResult.model_construct(prediction_uri=PREDICTION, batches=()), Shelf(), Shelf()
    for name in ("a.csv", "b.csv"):
        shelf.write_bytes(f"{PREDICTION}report/{name}", b"x")
    full, read = OSError(28, "No space left on device"), Shelf.read_file

    def empty(path, *_, **__):
        path.write_bytes(b"")
        raise full

    def fill(uri, path):
        read(shelf, uri, path)
        # The disk stays full.
        disk.setattr(shelf, "read_file", Mock(side_effect=full))
        disk.setattr(Path, "write_text", empty)

    with monkeypatch.context() as disk:
        disk.setattr(shelf, "read_file", fill)
        with pytest.raises(BadConfiguration, match="No space left on device"):
            _copy(plan, tmp_path, shelf)
    _copy(plan, tmp_path, later)
    assert [path.name for path in tmp_path.iterdir()] == [WRITTEN]
