"""The whole chain of steps on small sample videos: what it leaves, what a second run changes, and what is refused."""

import json
import subprocess
import sys

import pytest

from tasks.local.samples import make_samples
from tasks.options import SegmentOptions, recipe_of
from tasks.video.ffmpeg import find_ffmpeg

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "s3://retake-steps"
RECIPE = recipe_of(SegmentOptions())
LABELS = f"{STORE}/labels/{RECIPE}/"
TRAINING = {"backbone": "tf_efficientnet_lite0", "epochs": 1, "batch_size": 2, "learning_rate": 0.0005, "frame_step": 30, "crops": 1}


def ingest(workshop, store, folder):
    done = workshop.run("ingest", store=store, sources=folder, out=f"{store}/ingests/test/")
    for batch in done["batches"]:
        workshop.run("segment", store=store, batch=batch["uri"], out=batch["out"])
    return workshop.run("summarise", store=store, ingest=f"{store}/ingests/test/", out=f"{store}/ingests/test/summary/")


def build_and_plan(workshop):
    workshop.run("label", store=STORE, out=LABELS)
    workshop.run("split", store=STORE, labels=LABELS, out=f"{LABELS}split/")
    workshop.run("dataset", store=STORE, labels=LABELS, out=f"{STORE}/datasets/")
    weights = f"{STORE}/pretrained/choices/test/"
    training = {name: value for name, value in TRAINING.items() if name != "crops"}
    workshop.run("weights", store=STORE, out=weights, **training)
    return workshop.attempt("plan", store=STORE, weights_result=weights, out=f"{STORE}/plans/test/", **TRAINING)


@pytest.fixture(scope="module")
def chain(workshop, tmp_path_factory):
    """Three films through every step; the results of the steps that people look at."""
    folder = tmp_path_factory.mktemp("films") / "films"
    make_samples(folder, seed=0, num_videos=3, video_seconds=16, ffmpeg=find_ffmpeg(None))
    summary = ingest(workshop, STORE, folder)
    planned = build_and_plan(workshop)
    assert planned.returncode == 0, planned.stderr
    plan = workshop.store.read_bytes(f"{STORE}/plans/test/result.json")
    decided = json.loads(plan)
    run = decided["run_uri"]
    flags = {"store": STORE, "plan": f"{STORE}/plans/test/"}
    trained = workshop.run("train", **flags, out=f"{run}train/")
    for evaluation in decided["evaluations"]:
        workshop.run("evaluate", **flags, **evaluation)
    compared = workshop.run("compare", **flags, out=f"{run}compare/")
    registered = workshop.run("register", **flags, out=f"{run}register/")
    return {
        "folder": folder,
        "summary": summary,
        "plan": decided,
        "train": trained,
        "compare": compared,
        "register": registered,
    }


def listing(workshop):
    return [(found.uri, found.etag) for found in workshop.store.list(STORE) if "/mlflow/" not in found.uri]


def test_the_chain_registers_a_challenger(chain):
    assert chain["summary"]["num_clips"] == 6
    assert "challenger" in chain["register"]["aliases"]
    assert ("champion" in chain["register"]["aliases"]) == chain["compare"]["promote"]


def test_a_second_run_leaves_the_store_as_it_is(workshop, chain):
    before = listing(workshop)
    ingest(workshop, STORE, chain["folder"])
    assert build_and_plan(workshop).returncode == 99
    assert listing(workshop) == before


def test_the_registered_model_answers_without_our_code(workshop, chain, tmp_path):
    script = (
        "import mlflow, torch\n"
        "model = mlflow.pytorch.load_model('models:/retake-tsn@challenger')\n"
        "verb_logits, noun_logits = model(torch.zeros(3, 8, 256, 300, 3, dtype=torch.uint8))\n"
        "print(tuple(verb_logits.shape), tuple(noun_logits.shape))\n"
    )
    environment = {**workshop.environment, "MLFLOW_TRACKING_URI": workshop.environment["RETAKE_MLFLOW_URI"]}
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("(3, 125) (3, 352)"), done.stderr


def test_odd_files_cost_themselves(workshop, shared):
    store = "s3://retake-odd"
    summary = ingest(workshop, store, shared / "videos" / "odd")
    reasons = {bad["name"]: bad["reason"] for bad in summary["set_aside"]}
    assert reasons["zero_byte.mp4"] == "the file is empty"
    assert "no video stream" in reasons["audio_only.m4a"]
    assert "moov" in reasons["truncated_no_moov.mp4"]
    assert not any(reason.startswith("source") for reason in reasons.values())
    assert summary["num_clips"] > 0


@pytest.mark.parametrize(
    ("step", "flags", "code", "word"),
    [
        ("ingest", {"sources": "/no/such/folder"}, 65, "does not exist"),
        ("label", {}, 65, "no clips"),
        ("weights", {"backbone": "resnet5000", "weights": "imagenet"}, 78, "resnet5000"),
        ("weights", {"epochs": 0}, 78, "--epochs"),
        ("plan", {"weights_result": "s3://retake-nothing/x/"}, 99, "no dataset"),
    ],
)
def test_what_cannot_work_is_one_line_with_its_exit_code(workshop, step, flags, code, word):
    done = workshop.attempt(step, store="s3://retake-nothing", out="s3://retake-nothing/x/", **flags)
    assert done.returncode == code
    assert word in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("variable", "address"), [("RETAKE_STORE_ENDPOINT", "127.0.0.1:9"), ("RETAKE_MLFLOW_URI", "http://127.0.0.1:9")])
def test_a_server_that_is_down_is_temporary(workshop, chain, variable, address):
    down = type(workshop)(workshop.store, {**workshop.environment, variable: address})
    done = down.attempt("train", store=STORE, plan=f"{STORE}/plans/test/", out=f"{STORE}/runs/never/train/")
    assert done.returncode == 75
    assert "does not answer" in done.stderr.strip().splitlines()[-1]
    assert not list(workshop.store.list(f"{STORE}/runs/never/"))
