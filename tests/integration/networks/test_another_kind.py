"""A network that hears against a champion that sees flow, by the DAGs: from what is prepared for both to a decision, and on new films."""

import os
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from tasks.data.clips.flow_and_sound import flow_uri, sound_uri
from tasks.keys import file_sha256, flow_recipe_of
from tasks.learn.networks.checkpoints import save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec, no_names
from tasks.local.processes import choose_ports
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.store.layout import Dataset
from tasks.store.records.decisions import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.store.records.metrics import Metrics
from tasks.store.records.prediction import PredictBatchResult, PredictPlanResult
from tasks.store.records.training import PlanResult
from tasks.store.records.video import FlowResult
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.conftest import WORKSHOP_PORT_OFFSET
from tests.integration.workshop import TRAINING
from tests.pipeline.shelf import train_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "another-kind"
CHAMPION_KEY = "f" * 16
SERVE_SECONDS = 200
# Of a kind that no other test has in this store.
FLOW = FlowOptions(flow_method="dis")
SEES_FLOW = {"backbone": "test_resnet", "num_segments": 2, "modality": Modality.FLOW, **FLOW.model_dump()}
HEARS = {"modality": "sound", "backbone": "log-mel", "num_segments": 4, "trainable": "heads", "feature_variants": 1, "num_seeds": 1}


@pytest.fixture(scope="module")
def champion(workshop, chain, tmp_path_factory):
    """A champion that nobody trained; as far as store and registry tell, retrain did."""
    path, run = tmp_path_factory.mktemp("champion") / "best.pt", f"{STORE}/runs/{CHAMPION_KEY}/"
    spec = NetworkSpec(**{name: value for name, value in SEES_FLOW.items() if not name.startswith("flow")}, flow=FLOW)
    save(path, Network(spec, seed=3), no_names(spec))
    workshop.store.write_file(f"{run}train/best.pt", path)
    workshop.store.write(f"{run}train/result.json", train_result(f"{run}train/best.pt", file_sha256(path)))
    named = {"run_key": CHAMPION_KEY, "run_uri": run, "decision_uri": f"{run}decisions/1/", "model_name": MODEL, "evaluations": ()}
    planned = workshop.store.read(f"{chain.plan}result.json", PlanResult).model_copy(update={"train": TrainOptions(**SEES_FLOW), **named})
    workshop.store.write(f"{planned.decision_uri}plan/result.json", planned)
    client = MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])
    client.create_registered_model(MODEL, tags={"retake.store": STORE})
    mlflow_run = client.create_run(client.create_experiment(MODEL)).info.run_id
    checkpoint = {"retake.checkpoint_uri": f"{run}train/best.pt", "retake.checkpoint_sha256": file_sha256(path)}
    client.create_model_version(MODEL, f"runs:/{mlflow_run}/model", mlflow_run, {"retake.run_key": CHAMPION_KEY, **checkpoint})
    client.set_registered_model_alias(MODEL, "champion", "1")
    return planned


@pytest.fixture(scope="module")
def states(workshop, champion, tmp_path_factory, ffmpeg):
    films = tmp_path_factory.mktemp("new films")
    make_samples(films, seed=21, num_videos=1, video_seconds=8, ffmpeg=ffmpeg)
    both = {"model": f"models:/{MODEL}/2", "against": f"models:/{MODEL}/1"}
    return workshop.dag_test(
        {
            "retrain": {"store": STORE, "preset": "none", **TRAINING, **HEARS, "model_name": MODEL, "learning_curve": False},
            "predict_videos": {"store": STORE, "videos": [str(films)], "crops": 1, **both},
        }
    )


@pytest.fixture(scope="module")
def plan(workshop, states):
    plans = [workshop.store.read(stored.uri, PlanResult) for stored in workshop.store.list(f"{STORE}/plans/")]
    (plan,) = {plan.decision_uri: plan for plan in plans if plan.model_name == MODEL}.values()
    return plan


def result(workshop, plan, step, model):
    return workshop.store.read(f"{plan.run_uri if step == 'register' else plan.decision_uri}{step}/result.json", model)


def test_flow_and_sound_are_prepared_where_a_network_needs_them_and_skipped_elsewhere(workshop, chain, states, plan):
    prepared = ("prepare.flows[-1]", "prepare.flow[-1]", "prepare.sound[-1]")
    assert {chain.states["retrain"][task] for task in prepared} == {"skipped"}
    assert chain.states["retrain"]["train[-1]"] == "success"
    states = states["retrain"]
    assert {task: state for task, state in states.items() if state != "success"} == dict.fromkeys(
        ("prepare.use_auto[-1]", "learning_curve[-1]", "publish.approve[-1]", "export[-1]", "report_with_package[-1]"), "skipped"
    )
    assert {"prepare.flows[-1]", "prepare.flow[0]", "prepare.sound[-1]", "train[-1]", "publish.decide[-1]"} <= states.keys()
    clips = workshop.store.read(Dataset(plan.dataset_uri).manifest).clips
    assert len(clips) == 6
    for clip in clips:
        assert workshop.store.exists(flow_uri(clip.uri, FLOW))
        assert workshop.store.exists(sound_uri(clip.uri))
    again = workshop.attempt("flows", store=STORE, plan=f"{plan.decision_uri}plan/")
    assert (again.returncode, "of all 6 clips is in the store" in again.stderr) == (99, True)


def test_the_champion_of_another_kind_is_the_opponent(workshop, champion, plan):
    assert (plan.weights.network, plan.champion.flows) == ("TSN log-mel sound, 4 segments", (FLOW,))
    compared = result(workshop, plan, "compare", CompareResult)
    assert (compared.opponent, compared.champion_version) == ("champion", 1)
    reported = result(workshop, plan, "report", ReportResult)
    metrics = workshop.store.read(reported.metrics_uri, Metrics)
    assert {evaluated.model for evaluated in metrics.results} == {"baseline", "fine-tuned", "champion"}
    page = workshop.store.read_bytes(reported.report_uri).decode()
    assert ("Spectrogram of clip" in page) == bool(metrics.mistakes)
    decided = result(workshop, plan, "decide", DecideResult)
    assert (decided.version, decided.promoted) == (result(workshop, plan, "register", RegisterResult).version, compared.passed)
    assert "challenger" in decided.aliases


@contextmanager
def answering(uri, folder, environment):
    """Let `mlflow models serve` answer by a registered model, and yield a client."""
    # None that the kernel gives to others while the server starts.
    port = choose_ports({"models": WORKSHOP_PORT_OFFSET + 5001})["models"]
    command = [sys.executable, "-P", "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port)]
    environment = environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}
    with (
        (folder / "server.log").open("w+") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=100, trust_env=False) as client,
    ):
        try:
            deadline = time.monotonic() + SERVE_SECONDS
            while not is_up(client):
                assert process.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.1)
            yield client
        finally:
            process.terminate()  # its child, uvicorn, is told by the kernel


def is_up(client):
    try:
        return client.get("/ping").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_server_that_knows_nothing_of_us_answers_a_clip_by_the_registered_model(workshop, plan, tmp_path):
    clip = tmp_path / "a clip.mp4"
    manifest = workshop.store.read(Dataset(plan.dataset_uri).manifest)
    workshop.store.read_file(manifest.clips[0].uri, clip)
    environment = {key: value for key, value in workshop.environment.items() if not key.startswith(("RETAKE_", "PYTHON", "COVERAGE"))}
    with answering(f"models:/{MODEL}@challenger", tmp_path, environment) as client:
        sent, refused, damaged = (
            client.post("/invocations", json={"dataframe_split": {"columns": ["film"], "data": [[film]]}})
            for film in (b64encode(clip.read_bytes()).decode(), str(clip), b64encode(b"no video").decode())
        )
    (row,) = sent.json()["predictions"]
    assert set(row) == {"video", "start", "stop", "verb", "noun", "probability", "reported"}
    assert (row["video"], row["start"], row["stop"]) == ("input 0", 0, manifest.clips[0].num_frames / manifest.segment.fps)
    assert 0 < row["probability"] < 1
    assert (refused.status_code, damaged.status_code) == (400, 400)
    assert "a path is not read here" in refused.json()["message"]
    assert "damaged, or not a video" in damaged.json()["message"]


def test_new_films_have_flow_and_sound_before_they_are_predicted(workshop, states):
    assert set(states["predict_videos"].values()) == {"success"}, states
    plans = (
        workshop.store.read(stored.uri, PredictPlanResult)
        for stored in workshop.store.list(f"{STORE}/predictions/")
        if stored.uri.endswith("/plan/result.json")
    )
    (planned,) = (plan for plan in plans if plan.model.label == f"{MODEL} version 2")
    assert planned.against.flows == (FLOW,)
    computed = workshop.store.read(f"{planned.prediction_uri}flows/{flow_recipe_of(FLOW)}/0000/result.json", FlowResult)
    assert (computed.num_clips, computed.num_computed) == (1, 1)
    (batch,) = planned.batches
    assert workshop.store.read(f"{batch.out}result.json", PredictBatchResult).set_aside == ()
