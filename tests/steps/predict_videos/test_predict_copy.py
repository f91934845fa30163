"""Where a prediction's files are copied to: nothing of the store leads out of the folder that a person named."""

import logging

from tasks.results.prediction import PredictPlanResult
from tasks.steps.predict_videos.predict import _copy
from tests.steps.shelf import Shelf

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
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(inside)
    assert not outside.exists()
    assert sum("left in the store" in message for message in caplog.messages) == len(odd)
