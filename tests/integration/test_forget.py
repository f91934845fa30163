"""A film is forgotten on a real store and in a real MLflow."""

import io
import time
import zipfile
from contextlib import suppress

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tasks.keys import recipe_of
from tasks.local.servers import MLFLOW_BUCKET
from tasks.options import SegmentOptions
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Layout
from tasks.store.records.video import Inventory
from tasks.tracking import Tracker
from tests.films.samples import make_samples
from tests.pipeline.shelf import plan_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

WHY = {"reason": "by request", "confirm": "ada"}


def decoded(data):
    """Yield the bytes of an object, and of what is packed in it."""
    yield data
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"PAR1"):
        yield str(pq.read_table(io.BytesIO(data)).to_pydict()).encode()


def naming(store, bucket, *texts):
    """The objects that name a video, besides receipt and mark."""
    uris = [listed.uri for listed in store.list(f"{bucket}/") if "/forgotten/" not in listed.uri]
    return [uri for uri in uris if any(text.encode() in part for part in (uri.encode(), *decoded(store.read_bytes(uri))) for text in texts)]


def listed_at_last(names):
    """Wait until a listing has an object that was written just now."""
    deadline = time.monotonic() + 60
    while not names():
        assert time.monotonic() < deadline, "it is in no listing"
        time.sleep(0.1)


def first_film(workshop, store_uri):
    """Name and hash of a film of the store."""
    inventory = next(listed.uri for listed in workshop.store.list(Layout(store_uri).ingests) if listed.name == "inventory.json")
    file = next(file for file in workshop.store.read(inventory, Inventory).files if file.video)
    return file.name, file.video


def test_nothing_of_a_film_is_left_in_a_real_store_and_a_real_mlflow(workshop, attempt, tmp_path, ffmpeg):
    store_uri, model_name = "s3://retake-forgotten-film", "retake-forgotten-film"
    at, folder, store = Layout(store_uri), tmp_path / "films", workshop.store
    make_samples(folder, seed=79, num_videos=3, video_seconds=16, ffmpeg=ffmpeg)
    store.ensure_bucket(store_uri)
    assert attempt("ingest", store=store_uri, sources=str(folder), out=at.ingest("test").folder_uri)[0] == 0
    for batch in store.read(at.ingest("test")).batches:
        assert attempt("segment", store=store_uri, batch=batch.uri)[0] == 0
    labels = at.labels(recipe_of(SegmentOptions())).folder_uri
    assert [
        attempt(step, store=store_uri, **flags)[0]
        for step, flags in (("label", {}), ("split", {"labels": labels}), ("dataset", {"labels": labels}))
    ] == [0] * 3
    name, video = first_film(workshop, store_uri)
    dataset = store.read(at.latest_dataset)
    tracker, client = Tracker(load(MlflowSettings)), MlflowClient()
    run_id = tracker.ensure_run("retake-forgotten-film", "f" * 16, {"retake.dataset_digest": dataset.digest, "retake.note": f"of {name}"})
    (tmp_path / "evidence" / "val").mkdir(parents=True)
    (tmp_path / "evidence" / "val" / "mistakes.html").write_text(f"{name} {video}")
    tracker.log_artifacts(run_id, tmp_path / "evidence")
    tracker.log_artifacts(run_id, tmp_path / "evidence", "further")
    plan = plan_result(run_key="f" * 16, dataset_digest=dataset.digest)
    store.write(at.run("f" * 16).decision("d").plan, plan)
    client.create_registered_model(model_name)
    version = client.create_model_version(model_name, source=f"runs:/{run_id}/model", run_id=run_id, tags={"retake.run_key": "f" * 16})
    listed_at_last(lambda: naming(store, MLFLOW_BUCKET, video))
    code, line = attempt("forget", store=store_uri, video=name, **WHY)
    assert (code, naming(store, store_uri, video[:12], name), naming(store, MLFLOW_BUCKET, video)) == (0, [], []), line
    assert [listed.uri for listed in store.list(f"{MLFLOW_BUCKET}/") if run_id in listed.uri] == []
    assert "retake.note" not in client.get_run(run_id).data.tags
    assert client.get_model_version(model_name, version.version).tags["retake.saw_forgotten"] == "true"
