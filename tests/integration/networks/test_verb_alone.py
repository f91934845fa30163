"""A dataset whose labels name no object, every step real: one target from the training to a prediction."""

import csv
import re

import pytest
from mlflow import MlflowClient
from mlflow.models import get_model_info

from tasks.__main__ import main
from tasks.dataset.manifest import split_csv
from tasks.model.checkpoints import load
from tasks.results.dataset import NO_OBJECT, ClassRef, Manifest, Vocabulary
from tasks.results.evaluation import CompareResult, RegisterResult, ReportResult
from tasks.results.metrics import Metrics
from tasks.results.record import VERB_ALONE
from tasks.results.training import PlanResult, TrainResult
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.networks.test_family import Retrain
from tests.integration.workshop import EASY_GATE, TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL, NONE_ID = "verbs", 352
OPTIONS = TRAINING | EASY_GATE | {"backbone": "test_resnet", "weights": "none", "epochs": 2, "model_name": MODEL}
OF_OBJECTS = re.compile(r"noun|action", re.IGNORECASE)


@pytest.fixture(scope="module")
def dataset(workshop, chain):
    """The clips of the chain, of whose labels the verbs are left."""
    known = workshop.store.read(f"{workshop.store.read(f'{chain.plan}result.json', PlanResult).dataset_uri}manifest.json", Manifest)
    manifest = known.model_copy(
        update={
            "vocabulary": Vocabulary(verbs=known.vocabulary.verbs, nouns=(ClassRef(id=NONE_ID, name=NO_OBJECT),)),
            "clips": tuple(clip.model_copy(update={"noun": NO_OBJECT, "noun_class": NONE_ID}) for clip in known.clips),
        }
    )
    uri = f"{STORE}/datasets/0123456789abcdef/"
    for split in {clip.split for clip in manifest.clips}:
        workshop.store.write_bytes(f"{uri}{split}.csv", split_csv(manifest, split))
    workshop.store.write(f"{uri}manifest.json", manifest)
    return uri


@pytest.fixture
def retrain(workshop, attempt, dataset):
    found = Retrain(workshop, attempt, OPTIONS | {"dataset": dataset})
    found.follow()
    return found


def test_one_target_from_the_training_to_a_prediction(workshop, retrain, attempt, tmp_path, ffmpeg):
    store, client = workshop.store, MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])
    trained = retrain.result("train", TrainResult)
    assert all(epoch.val_verb_top1 is not None and epoch.val_action_top1 is None for epoch in trained.epochs)
    store.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    assert not load(tmp_path / "best.pt").classes.has_objects
    assert {one.target for one in retrain.result("compare", CompareResult).differences} == set(VERB_ALONE)
    run = client.get_run(trained.mlflow_run_id).data
    assert {"fine-tuned/val/verb_top1", "gain/val/verb_top1_over_baseline", "val_verb_top1"} <= run.metrics.keys()
    assert not list(filter(OF_OBJECTS.search, run.metrics))
    assert not OF_OBJECTS.search(run.tags["mlflow.note.content"])
    reported = retrain.result("report", ReportResult)
    assert store.read(reported.metrics_uri, Metrics).targets == VERB_ALONE
    page, card = (store.read_bytes(uri).decode() for uri in (reported.report_uri, reported.card_uri))
    assert 'data-target="verb"' in page
    assert 'data-target="noun"' not in page
    assert "to predict the verb of short video clips" in card
    version = retrain.result("register", RegisterResult).version
    signature = get_model_info(f"models:/{MODEL}/{version}").signature
    assert signature.outputs.input_names() == ["verb_logits"]

    make_samples(tmp_path / "new", seed=13, num_videos=1, video_seconds=16, ffmpeg=ffmpeg)
    told = tmp_path / "told"
    assert main(["predict", str(tmp_path / "new"), f"--model=models:/{MODEL}/{version}", "--crops=1", "--preview", f"--to={told}"]) == 0
    rows = list(csv.DictReader((told / "predictions.csv").read_text().splitlines()))
    assert {row["network"] for row in rows} == {f"{MODEL} version {version}", "baseline"}
    assert not list(filter(OF_OBJECTS.search, rows[0]))
    assert "The two networks predict the same verb on " in (told / "report.html").read_text()
    (track, _) = (told / "tracks").iterdir()
    assert NO_OBJECT not in track.read_text()
