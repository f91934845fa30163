"""Where a prediction's files are copied to: nothing of the store leads out of the folder that a person named."""

import json
import logging

from tasks.pipeline.predict_videos.predict import WRITTEN, _copy
from tasks.store.records.experiments import PredictPlanResult
from tests.pipeline.shelf import Shelf

PREDICTION = "s3://retake/predictions/0123456789abcdef/"


def test_no_key_leads_out_of_the_folder(tmp_path, caplog):
    outside, folder, shelf = tmp_path / "outside", tmp_path / "to", Shelf()
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
