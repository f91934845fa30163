"""What a prediction is planned on, and the page of one of which a task failed, against a real store and a real MLflow."""

import csv
import io
import json

import pytest
from mlflow import MlflowClient

from tasks.contracts.predict_videos import PredictBatchArguments, PredictKnownArguments, PredictPlanArguments, PredictReportArguments
from tasks.options import EvaluateOptions, PredictOptions
from tasks.results.dataset import DatasetResult, LabelsFile
from tasks.results.prediction import KnownLabels, PredictBatchResult, PredictReportResult
from tasks.settings import MlflowSettings
from tasks.steps.predict_videos import predict_batch, predict_known, predict_plan, predict_report
from tasks.steps.predict_videos._chosen import registered
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.tracking import Registry
from tasks.tracking.connection import RUN_KEY_TAG
from tasks.tracking.registry import CHECKPOINT_HASH_TAG
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "models:/retake-tsn@challenger"
OTHER = "s3://retake-plans"
"""A store without a dataset."""


@pytest.fixture(scope="module")
def films(tmp_path_factory, ffmpeg):
    """Four films of two clips."""
    folder = tmp_path_factory.mktemp("films") / "films"
    make_samples(folder, seed=21, num_videos=4, video_seconds=16, ffmpeg=ffmpeg)
    (folder / "intervals.csv").unlink()
    return folder


@pytest.fixture
def decide(workshop, chain, monkeypatch):
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)

    def call(**options):
        known = {
            name: field.get_default(call_default_factory=True)
            for model in (PredictOptions, EvaluateOptions)
            for name, field in model.model_fields.items()
        }
        chosen = {**known, "store": OTHER, "model": MODEL, "against": "none", "crops": 1, **options}
        return predict_plan.decide(PredictPlanArguments(**chosen), workshop.store)

    return call


@pytest.fixture
def stranger(workshop, chain):
    """A registered version of whose training no store has a plan."""
    client = MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])
    known = client.get_model_version("retake-tsn", "1")
    client.create_registered_model("stranger")
    tags = {**known.tags, RUN_KEY_TAG: "gone", CHECKPOINT_HASH_TAG: "0" * 64}
    client.create_model_version("stranger", f"runs:/{known.run_id}/model", known.run_id, tags)
    yield "models:/stranger/1"
    client.delete_registered_model("stranger")


def test_a_recording_is_one_source_whether_its_clips_have_labels_or_not(workshop, decide, films):
    workshop.ingest(OTHER, films)
    labels = f"{OTHER}/labels/{RECIPE}/"
    workshop.run("label", store=OTHER)
    uids = sorted(one.clip.uid for one in workshop.store.read(f"{labels}labels.json", LabelsFile).clips)
    # The first clip of each film, of which two are of one recording.
    lines = [[uid, "put", "meat", "kitchen" if i < 2 else ""] for i, uid in enumerate(uids[::2])]
    text = io.StringIO()
    csv.writer(text).writerows([["uid", "verb", "noun", "source"], *lines])
    workshop.store.write_bytes(f"{OTHER}/annotations/half.csv", text.getvalue().encode())
    workshop.run("label", store=OTHER)
    plan = decide()
    assert plan.num_videos == 4
    assert {video[:12]: source for video, source in plan.sources.items()} == dict.fromkeys((uids[0][:12], uids[2][:12]), "kitchen")
    known = workshop.store.read(f"{plan.prediction_uri}labels.json", KnownLabels).labels
    assert [one.uid for one in known] == uids[::2]


def test_where_nothing_tells_what_was_trained_on_the_plan_says_so(workshop, decide, films):
    assert decide(videos=[str(films)]).missing == ()
    registry = Registry.from_settings(MlflowSettings())
    run_uri = registered(MODEL, OTHER, 1, workshop.store, registry).run_uri
    plans = {
        o.uri: workshop.store.read_bytes(o.uri) for o in workshop.store.list(f"{run_uri}decisions/") if o.uri.endswith("/plan/result.json")
    }
    for uri in plans:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        workshop.store._client.remove_object(bucket_name=bucket, object_name=key)
    try:
        missing = decide(videos=[str(films)]).missing
        by_split = decide(store=CHAIN_STORE).missing
    finally:
        for uri, data in plans.items():
            workshop.store.write_bytes(uri, data)
    gone = "the dataset that retake-tsn version 1 was trained on is not there to tell how its clips were cut; these videos are cut"
    assert by_split == (f"{gone} as the clips of {workshop.store.read(f'{CHAIN_STORE}/datasets/result.json', DatasetResult).dataset_uri}",)
    assert len(missing) == 2
    assert missing[0] == f"{gone} by the defaults of ingest_videos"
    assert f"could not be checked: {OTHER} has neither the dataset that retake-tsn version 1 was trained on nor a split file" in missing[1]


def test_a_model_of_which_nothing_is_known_is_not_said_to_be_of_the_other_networks_dataset(workshop, decide, films, stranger):
    known = decide(videos=[str(films)], against=stranger)
    assert known.model_dataset_uri is not None
    assert (known.dataset_uris, known.missing) == ((known.model_dataset_uri,), ())
    plan = decide(videos=[str(films)], model=stranger, against=MODEL)
    assert (plan.run_uri, plan.model_dataset_uri, plan.dataset_uris) == (None, None, known.dataset_uris)
    assert plan.segment == known.segment
    assert plan.missing[0].endswith(f"these videos are cut as the clips of {known.model_dataset_uri}")
    seen = predict_known.run(PredictKnownArguments(store=plan.store, plan=f"{plan.prediction_uri}plan/"), workshop.store)
    assert (seen.num_clips, seen.features_uri) == (0, None)


def test_a_plan_of_a_training_before_networks_had_names_gives_the_baseline(workshop, decide, chain, films):
    uri = next(o.uri for o in workshop.store.list(f"{chain.decision}plan/") if o.name == "result.json")
    kept = workshop.store.read_bytes(uri)
    old = json.loads(kept)
    del old["weights"]["network"]
    workshop.store.write_bytes(uri, json.dumps(old).encode())
    try:
        plan = decide(videos=[str(films)], against="baseline")
    finally:
        workshop.store.write_bytes(uri, kept)
    assert plan.missing == ()
    assert plan.model.description == "TSN tf_efficientnet_lite0 rgb"


def test_videos_that_are_predicted_although_they_were_trained_on_are_in_the_plan(decide, chain):
    trained = chain.confs["ingest_videos"]["sources"][0]
    plan = decide(videos=[trained], store=CHAIN_STORE, allow_trained=True)
    refused = decide(videos=[trained], store=CHAIN_STORE)
    assert plan.num_videos == 3
    assert len(plan.trained_on) == len(refused.set_aside) == 3 - refused.num_videos > 0
    assert refused.trained_on == ()


def test_a_batch_that_failed_is_left_out_by_name_until_it_succeeds(workshop, decide, films):
    plan = decide(videos=[str(films)])
    store: Store = workshop.store
    assert len(plan.batches) > 1
    common = {"store": plan.store, "plan": f"{plan.prediction_uri}plan/"}
    predict_known.run(PredictKnownArguments(**common), store)

    def predict(batch):
        return predict_batch.run(PredictBatchArguments(**common, batch=batch.uri), store)

    def report():
        return predict_report.run(PredictReportArguments(**common), store)

    first: PredictBatchResult = predict(plan.batches[0])
    found: PredictReportResult = report()
    assert (found.num_videos, found.num_failed_batches) == (len(first.videos), len(plan.batches) - 1)
    assert {bad.reason for bad in found.first_set_aside} == {"its task failed; see predict's log"}
    assert found.num_videos + found.num_set_aside == plan.num_videos
    page = store.read_bytes(found.page_uri).decode()
    assert all(bad.name in page for bad in found.first_set_aside)
    assert predict_plan.finished_report(plan, store) is None
    assert report() == found
    for batch in plan.batches:
        predict(batch)
    whole = report()
    assert (whole.num_videos, whole.num_set_aside, whole.num_failed_batches) == (4, 0, 0)
    assert f"on {whole.num_clips} clips</dd>" in store.read_bytes(whole.page_uri).decode()
    assert whole.mlflow_run_url == found.mlflow_run_url
    assert predict_plan.finished_report(plan, store) == whole


def test_a_network_that_was_trained_around_intervals_predicts_the_grid(workshop, decide, films):
    place = Dataset(workshop.store.read(Layout(CHAIN_STORE).latest_dataset).dataset_uri).manifest
    own = workshop.store.read(place)
    changed = own.model_copy(update={"segment": own.segment.model_copy(update={"cut": "intervals", "fps": 25})})
    workshop.store.write(place, changed)
    try:
        plan = decide(videos=[str(films)], store=CHAIN_STORE)
    finally:
        workshop.store.write(place, own)
    assert plan.segment == changed.segment.on_grid
