"""What cannot work: one line that says what to do, the exit code that tells whether a retry helps, and nothing half-written."""

import argparse
import hashlib
import json
import subprocess
import time

import pytest
import torch

from tasks.contracts.commands import STEPS
from tasks.errors import Unavailable
from tasks.local.home import REPOSITORY
from tasks.results.training import PlanResult
from tasks.store.objects import Store
from tests.integration.conftest import CHAIN_STORE
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NOWHERE = "s3://retake-nowhere"
UNDONE = "s3://retake-undone"
OUT = {"out": f"{NOWHERE}/never/"}
FOLLOWERS_OF_A_PLAN: dict[str, dict[str, str]] = {
    "train": {},
    "evaluate": {"model": "baseline"},
    "learning_curve": {},
    "compare": {},
    "report": {},
    "register": {},
    "decide": {},
}


@pytest.fixture
def required(chain):
    """The flags without which a step does not begin."""
    labels, prediction = {"labels": f"{CHAIN_STORE}/labels/{RECIPE}/"}, {"plan": f"{NOWHERE}/predictions/x/plan/"}
    search = {"search": f"{NOWHERE}/searches/x/x/"}
    return {
        "ingest": OUT | {"sources": str(REPOSITORY / "README.md")},
        "segment": {"batch": f"{chain.ingest}batches/0000.json"},
        "summarise": {"ingest": chain.ingest},
        "label": {},
        "split": labels,
        "dataset": labels,
        "weights": OUT | {"backbone": "tf_efficientnet_lite0", "weights": "imagenet"},
        "plan": {"weights_result": chain.weights},
        **{step: {"plan": chain.plan, **flags} for step, flags in FOLLOWERS_OF_A_PLAN.items()},
        "flows": {"plan": chain.plan},
        "flow": {"batch": f"{NOWHERE}/runs/x/flows/x/0000.json"},
        "sound": {"plan": chain.plan},
        "configure": OUT,
        "plan_network": {
            "dataset": f"{NOWHERE}/datasets/x/",
            "weights_result": chain.weights,
            "claims": f"{NOWHERE}/comparisons/x/x/claims/",
            "name": "x",
        },
        "tabulate": {"configured": f"{NOWHERE}/comparisons/x/"},
        "search_plan": {},
        "recut": search,
        "suggest": search | {"round": 1},
        "train_trials": search | {"batch": f"{NOWHERE}/searches/x/x/rounds/1/batches/0123456789abcdef.json"},
        "gather": search | {"round": 1},
        "repeat_winner": search,
        "search_report": search,
        "predict_plan": {},
        "predict_cut": prediction | {"batch": f"{NOWHERE}/predictions/x/batches/0000.json"},
        "predict_known": prediction,
        "predict_batch": prediction | {"batch": f"{NOWHERE}/predictions/x/batches/0000.json"},
        "predict_report": prediction,
    }


@pytest.fixture(scope="module")
def undone(workshop, chain):
    """Copies of the chain's plan that no step has followed; of one, the networks have no scores yet."""
    planned = workshop.store.read(f"{chain.plan}result.json", PlanResult)
    evaluations = tuple(one.model_copy(update={"out": f"{NOWHERE}/{one.model}/{one.split}/"}) for one in planned.evaluations)
    plans = {"scored": planned, "unscored": planned.model_copy(update={"evaluations": evaluations})}
    workshop.store.ensure_bucket(UNDONE)
    addresses = {name: f"{UNDONE}/runs/{name}/decisions/x/plan/" for name in plans}
    for name, plan in plans.items():
        workshop.store.write(f"{addresses[name]}result.json", plan)
    return addresses


@pytest.fixture
def unchanged(workshop):
    """Holds that a store is after the test as it was before."""
    uris = (NOWHERE, CHAIN_STORE)
    before = [list(workshop.store.list(uri)) for uri in uris]
    yield
    assert [list(workshop.store.list(uri)) for uri in uris] == before


@pytest.fixture(scope="module")
def videos(tmp_path_factory, ffmpeg):
    """Makes a folder of labelled videos of two seconds: name -> a video of its own."""

    def make(*names):
        folder = tmp_path_factory.mktemp("videos")
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            source = ["-f", "lavfi", "-i", f"testsrc=s=320x240:r=30:d=2,hue=h={10 * number}"]
            subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *source, "-pix_fmt", "yuv420p", path], check=True)
        return folder

    return make


@pytest.mark.parametrize(
    ("step", "flags", "code", "told"),
    [
        ("ingest", OUT | {"sources": "/no/such/folder"}, 65, "/no/such/folder does not exist"),
        ("ingest", OUT | {"sources": str(REPOSITORY / "dags")}, 65, "no usable video"),
        ("ingest", OUT, 99, f"put videos under {NOWHERE}/inbox/"),
        ("label", {}, 65, "run ingest_videos"),
        ("weights", OUT | {"backbone": "resnet5000", "weights": "imagenet"}, 78, "'resnet5000' is unknown; did you mean"),
        ("weights", OUT | {"epochs": 0}, 78, "--epochs"),
        ("split", {"labels": f"{NOWHERE}/x/", "val_share": 1.5}, 78, "--val-share"),
        ("split", {"labels": f"{NOWHERE}/x/", "val_share": 0.7, "test_share": 0.4}, 78, "leave nothing to train on"),
        ("plan", {"weights_result": f"{NOWHERE}/x/"}, 99, "run ingest_videos and build_dataset first"),
        ("train", {"plan": f"{NOWHERE}/runs/x/decisions/x/plan/"}, 65, f"{NOWHERE}/runs/x/decisions/x/plan/result.json"),
    ],
)
def test_what_cannot_work_is_one_line_with_its_exit_code(attempt, unchanged, step, flags, code, told):
    found, line = attempt(step, store=NOWHERE, **flags)
    assert found == code
    assert told in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a.mp4", "b.mp4"), "none of the 2 clips has a label: name folders as in 'put meat' or 'wave'"),
        (("put meat/a.mp4", "put meat/b.mp4"), "training needs at least two actions: label another"),
        (("put meat/a.mp4", "take bag/b.mp4"), "val would be empty"),
    ],
    ids=["no labels", "a single class", "val larger than the data"],
)
def test_labels_that_make_no_dataset(workshop, videos, request, names, told):
    store = f"s3://retake-{request.node.callspec.id.replace(' ', '-')}"
    workshop.ingest(store, videos(*names))
    done = workshop.split(store, val_share=0.5)
    line = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, told in line) == (65, True), line
    assert not list(workshop.store.list(f"{store}/datasets/"))


def test_a_class_with_one_clip_is_taught_and_not_tested(workshop, videos):
    store = "s3://retake-one-clip"
    workshop.ingest(store, videos("put meat/a.mp4", "put meat/b.mp4", "put meat/c.mp4", "take bag/d.mp4"))
    dataset = workshop.build(store)
    manifest = json.loads(workshop.store.read_bytes(f"{dataset['dataset_uri']}manifest.json"))
    assert {clip["split"] for clip in manifest["clips"] if clip["noun"] == "bag"} == {"train"}


def test_a_val_share_that_cannot_be_had_is_told_with_the_numbers(workshop, videos):
    store = "s3://retake-large-val"
    workshop.ingest(store, videos("put meat/a.mp4", "put meat/b.mp4", "take bag/c.mp4", "take bag/d.mp4"))
    done = workshop.split(store, val_share=0.99)
    assert done.returncode == 0
    assert "val has 2 of 4 clips (50%) where 99% was wished" in done.stderr


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", ["code", "shape", "hash", "absent"])
def test_a_checkpoint_that_is_not_what_it_should_be(attempt, unchanged, tmp_path, kind):
    content = {"model_type": "tsn", "arch": "resnet50", "modality": "RGB", "segment_count": 8, "args": argparse.Namespace()}
    content["state_dict"] = {"base_model.conv1.weight": torch.zeros(3, 3)}
    if kind == "code":
        content["args"] = Harm(tmp_path / "harm")
    path = tmp_path / "made"
    torch.save(content, path)
    digest = "00000000" if kind == "hash" else hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    checkpoint = path.rename(tmp_path / f"TSN-{digest}.pth.tar")
    if kind == "absent":
        checkpoint.unlink()
    code, line = attempt("weights", store=NOWHERE, out=f"{NOWHERE}/x/", backbone="resnet50", weights="epic", checkpoint=checkpoint)
    told = {"code": "it holds code", "shape": "conv1.weight is 3 x 3 where", "hash": "its name says 00000000", "absent": "no such file"}
    assert (code, told[kind] in line, checkpoint.name in line) == (65, True, True), line
    assert not (tmp_path / "harm").exists()


@pytest.fixture
def no_pauses(monkeypatch):
    """Between the tries to reach a server that will not come up."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.mark.parametrize("step", STEPS)
def test_a_store_that_is_down_is_temporary(attempt, unchanged, required, no_pauses, step):
    down = {"RETAKE_STORE_ENDPOINT": "127.0.0.1:9"}
    code, line = attempt(step, down, store=CHAIN_STORE, **required[step])
    assert (code, "does not answer" in line) == (75, True), line


@pytest.mark.parametrize("step", ["plan", *FOLLOWERS_OF_A_PLAN])
def test_an_mlflow_that_is_down_is_temporary(attempt, unchanged, required, undone, no_pauses, step):
    down = {"RETAKE_MLFLOW_URI": "http://127.0.0.1:9"}
    changed = {"plan": {"backbone": "resnet18"}, "evaluate": {"plan": undone["unscored"]}}.get(step, {"plan": undone["scored"]})
    code, line = attempt(step, down, store=CHAIN_STORE, **{**required[step], **changed})
    assert (code, "MLflow at http://127.0.0.1:9 does not answer" in line) == (75, True), line


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ({"RETAKE_STORE_SECRET_KEY": "wrong"}, 78, "RETAKE_STORE"),
        ({"RETAKE_STORE_ENDPOINT": "http://localhost:9000"}, 78, "RETAKE_STORE_ENDPOINT"),
    ],
)
def test_wrong_settings_are_named(attempt, unchanged, settings, code, told):
    found, line = attempt("label", settings, store=NOWHERE)
    assert (found, told in line) == (code, True), line


def test_a_dataset_that_is_cut_off_at_any_write_is_never_read(workshop, videos, attempt, monkeypatch):
    store = "s3://retake-cut-off"
    workshop.ingest(store, videos("put meat/a.mp4", "put meat/b.mp4", "take bag/c.mp4", "take bag/d.mp4"))
    assert workshop.split(store).returncode == 0
    write = Store.write_bytes
    written = []

    def write_until(limit):
        def cut_off(self, uri, data):
            if len(written) == limit:
                raise Unavailable("cut off")
            written.append(uri)
            write(self, uri, data)

        return cut_off

    code, limit = 75, 0
    while code == 75:
        written.clear()
        monkeypatch.setattr(Store, "write_bytes", write_until(limit))
        code, _ = attempt("dataset", store=store, labels=f"{store}/labels/{RECIPE}/")
        found = {o.name for o in workshop.store.list(f"{store}/datasets/")}
        if "manifest.json" in found:
            assert {"train.csv", "val.csv", "test.csv", "verbs.png", "nouns.png", "actions.png"} <= found
        assert ("result.json" in found) == (code == 0)
        limit += 1
    assert code == 0
    assert limit > 8
