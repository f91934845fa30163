"""A head on the joined features of a network that sees and one that hears: from the trainings to a model that takes a clip."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tasks.evaluation.scores_file import from_parquet
from tasks.model.checkpoints import load
from tasks.prediction.scored import read_scored
from tasks.results.comparison import Comparison
from tasks.results.dataset import Manifest
from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResult, RegisterResult, ReportResult
from tasks.results.metrics import Metrics
from tasks.results.prediction import PredictReportResult
from tasks.results.training import TrainResult
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.networks.test_family import Retrain
from tests.integration.networks.test_fusion import PREDICT
from tests.integration.networks.test_sound import HEARS, retrained
from tests.integration.test_predict import plan_of
from tests.integration.workshop import EASY_GATE, TRAINING
from tests.steps.shelf import filmed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "joined"
JOINED = {"join": "features", "trainable": "heads", "head": "lstm", "epochs": 3, "batch_size": 2, "learning_rate": 0.001}


@pytest.fixture(scope="module")
def members(workshop, chain):
    """What was trained on pictures, and heads that train on sound."""

    def attempt(step, **flags):
        done = workshop.attempt(step, **flags)
        return done.returncode, done.stderr

    hears = Retrain(workshop, attempt, HEARS | {"model_name": MODEL, "num_segments": 3})
    hears.do("train", plan=f"{hears.plan.decision_uri}plan/")
    return [f"runs/{uri.rstrip('/').rpartition('/')[2]}/" for uri in (chain.run, hears.plan.run_uri)]


@pytest.fixture(scope="module")
def joined(workshop, members):
    options = TRAINING | EASY_GATE | JOINED | {"fuse": members, "model_name": MODEL, "crops": 10}
    return retrained(workshop, options)


def test_a_head_is_trained_on_what_both_networks_make_of_a_clip(workshop, joined, members, tmp_path):
    assert joined.plan.train.fuse == members
    assert "features of 2 networks joined, lstm head" in joined.plan.weights.network
    trained = joined.result("train", TrainResult)
    assert (len(trained.epochs), trained.fusion) == (3, None)
    workshop.store.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    saved = load(tmp_path / "best.pt")
    assert [network.spec.modality for network in saved.networks] == ["rgb", "sound"]
    assert saved.joint.spec.joined == tuple(network.feature_shape[0] for network in saved.networks)
    assert saved.joint.spec.num_segments == 3


def test_everything_that_follows_a_training_follows_joined_features(workshop, joined):
    compared, decided = joined.result("compare", CompareResult), joined.result("decide", DecideResult)
    assert decided.version == joined.result("register", RegisterResult).version
    assert decided.promoted == compared.passed
    metrics = workshop.store.read(joined.result("report", ReportResult).metrics_uri, Metrics)
    assert {result.model for result in metrics.results} == {"baseline", "fine-tuned"}
    assert metrics.baseline.startswith("the mean of 2 networks with equal weights")
    page = workshop.store.read_bytes(joined.result("report", ReportResult).report_uri).decode()
    assert "features of 2 networks joined, lstm head" in page
    assert ("Spectrogram of clip" in page) == bool(metrics.mistakes)


def evaluated(workshop, joined):
    (uri,) = (one.out for one in joined.plan.evaluations if (one.model, one.split) == ("fine-tuned", "val"))
    result = workshop.store.read(f"{uri}result.json", EvaluateResult)
    return from_parquet(workshop.store.read_bytes(result.predictions_uri), result.predictions_uri)


def test_the_registered_model_answers_a_clip_as_the_evaluation_does(workshop, joined, tmp_path):
    manifest = workshop.store.read(f"{joined.plan.dataset_uri}manifest.json", Manifest)
    scored, clip = evaluated(workshop, joined), tmp_path / "clip.mp4"
    workshop.store.read_file(next(one.uri for one in manifest.clips if one.uid == scored.uids[0]), clip)
    environment = {key: value for key, value in workshop.environment.items() if not key.startswith(("RETAKE_", "PYTHON", "COVERAGE"))}
    script = [sys.executable, "-P", "-c", PREDICT, f"models:/{MODEL}/{joined.result('register', RegisterResult).version}", str(clip)]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[-1])["first"]
    np.testing.assert_allclose(first["verb_logits"], scored.verb_logits[0], atol=1e-4)
    np.testing.assert_allclose(first["noun_logits"], scored.noun_logits[0], atol=1e-4)


def test_a_prediction_answers_as_the_evaluation_does(workshop, joined, tmp_path):
    predicted = predict(workshop, joined, allow_trained=True)
    expected, found = evaluated(workshop, joined), {}
    scored = workshop.store.list(f"{plan_of(workshop, predicted).prediction_uri}scored/")
    for number, one in enumerate(one for one in scored if one.name.endswith(".parquet")):
        workshop.store.read_file(one.uri, tmp_path / f"{number}.parquet")
        for clips in read_scored(tmp_path / f"{number}.parquet"):
            found |= dict(zip(clips.uids, clips.logits["model"][0], strict=True))
    for uid, logits in zip(expected.uids, expected.verb_logits, strict=True):
        np.testing.assert_allclose(found[uid], logits, atol=1e-4)


def test_a_film_without_a_track_is_answered_by_what_is_seen_of_it_and_named(workshop, joined, tmp_path, ffmpeg):
    film = tmp_path / "mute" / "mute.mp4"
    film.parent.mkdir()
    filmed(ffmpeg, film, seconds=8)
    predicted = predict(workshop, joined, film.parent)
    assert (predicted.num_videos, predicted.num_clips) == (1, 1)
    assert "there is nothing to hear in it" in workshop.store.read_bytes(predicted.page_uri).decode()


def predict(workshop, joined, *videos, **choice):
    model = f"models:/{MODEL}/{joined.result('register', RegisterResult).version}"
    command = workshop.command("predict", store=STORE, model=model, against="none", crops=10, engine="pytorch", **choice)
    done = subprocess.run([*command, *map(str, videos)], env=workshop.environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return PredictReportResult.model_validate_json(done.stdout.splitlines()[-1])


def test_joined_features_stand_in_a_table_beside_averaged_logits(workshop, members):
    fused = f"fuse={','.join(members)}"
    conf = {"store": STORE, "configurations": [fused, f"{fused} join=features"], **TRAINING, "trainable": "heads"}
    states = workshop.dag_test({"compare_networks": conf})["compare_networks"]
    assert states["run"] == "success", states
    tables = [found for found in workshop.store.list(f"{STORE}/comparisons/") if found.uri.endswith("/networks.json")]
    comparison = workshop.store.read(max(tables, key=lambda found: found.modified).uri, Comparison)
    assert comparison.failed == ()
    assert [network.family for network in comparison.networks] == ["fusion", "joined features"]
    assert [network.inputs for network in comparison.networks] == [("rgb", "sound")] * 2
