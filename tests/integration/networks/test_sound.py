"""Networks that hear on a real store: from the films' sound to a decision, alone, in a fusion, and as a model that takes a clip."""

import json
import subprocess
import sys

import pytest

from tasks.model.sound.recipe import installed_recipe, sound_recipe_of
from tasks.results.comparison import Comparison
from tasks.results.dataset import Manifest
from tasks.results.evaluation import DecideResult, RegisterResult, ReportResult
from tasks.results.training import TrainResult
from tasks.store.layout import sound_of_clip
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.networks.test_family import Retrain
from tests.integration.networks.test_fusion import PREDICT
from tests.integration.workshop import EASY_GATE, TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

COMMON = TRAINING | EASY_GATE | {"num_segments": 4, "model_name": "hears", "trainable": "heads"}
HEARS = COMMON | {"modality": "sound", "backbone": "log-mel"}
LOOKS_AT_SOUND = COMMON | {"modality": "spectrogram", "backbone": "test_resnet", "weights": "none"}


def retrained(workshop, options):
    """A network that has gone the whole way. Each step has a process of its own, because a model that takes a clip imports much of MLflow."""

    def attempt(step, **flags):
        done = workshop.attempt(step, **flags)
        return done.returncode, done.stderr

    retrain = Retrain(workshop, attempt, options)
    retrain.follow()
    return retrain


@pytest.fixture(scope="module")
def heard(workshop, chain):
    return retrained(workshop, HEARS)


def page_of(workshop, retrain):
    return workshop.store.read_bytes(retrain.result("report", ReportResult).report_uri).decode()


def test_a_network_of_sound_is_trained_tested_reported_and_registered(workshop, heard):
    assert heard.plan.weights.network == "TSN log-mel sound, 4 segments"
    assert heard.result("train", TrainResult).best_val_loss > 0
    assert heard.result("decide", DecideResult).version == heard.result("register", RegisterResult).version
    assert "Spectrogram of clip" in page_of(workshop, heard)
    recipe = sound_recipe_of(installed_recipe().model_copy(update={"network": None}))
    manifest = workshop.store.read(f"{heard.plan.dataset_uri}manifest.json", Manifest)
    assert len(manifest.clips) == 6
    for clip in manifest.clips:
        assert workshop.store.exists(sound_of_clip(clip.uri, recipe))


def test_a_registered_network_of_sound_takes_a_clip(workshop, heard, tmp_path):
    manifest = workshop.store.read(f"{heard.plan.dataset_uri}manifest.json", Manifest)
    clip = tmp_path / "clip.mp4"
    workshop.store.read_file(manifest.clips[0].uri, clip)
    environment = {key: value for key, value in workshop.environment.items() if not key.startswith(("RETAKE_", "PYTHON", "COVERAGE"))}
    script = [sys.executable, "-P", "-c", PREDICT, f"models:/hears/{heard.result('register', RegisterResult).version}", str(clip)]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[-1])["first"]
    assert (len(first["verb_logits"]), len(first["noun_logits"])) == (125, 352)


def test_sound_is_described_before_an_image_backbone_looks_at_it_and_once(workshop, chain, heard):
    assert chain.states["retrain"]["prepare.sound[-1]"] == "skipped"
    states = workshop.dag_test({"retrain": {"store": STORE, **LOOKS_AT_SOUND}})["retrain"]
    assert states["prepare.sound[-1]"] == states["train[-1]"] == states["run"] == "success", states
    described = workshop.run("sound", store=STORE, plan=f"{heard.plan.decision_uri}plan/")
    assert (described["num_clips"], described["num_described"]) == (6, 0)


def test_what_is_seen_and_what_is_heard_decide_together(workshop, chain, heard):
    runs = [uri.rstrip("/").rpartition("/")[2] for uri in (chain.run, heard.plan.run_uri)]
    retrain = retrained(workshop, EASY_GATE | {"fuse": [f"runs/{run}/" for run in runs], "model_name": "sees-and-hears", "crops": 1})
    fusion = retrain.result("train", TrainResult).fusion
    assert [member.network.split()[2] for member in fusion.members] == ["rgb,", "sound,"]
    assert fusion.num_unheard == 0
    assert "Spectrogram of clip" in page_of(workshop, retrain)


def test_vision_sound_and_both_stand_in_one_table(workshop, chain, heard):
    runs = [uri.rstrip("/").rpartition("/")[2] for uri in (chain.run, heard.plan.run_uri)]
    fused = ",".join(f"runs/{run}/" for run in runs)
    sound = "modality=sound backbone=log-mel weights=auto trainable=heads num_segments=4"
    conf = {"store": STORE, "configurations": ["modality=rgb", sound, f"fuse={fused}"], **TRAINING}
    states = workshop.dag_test({"compare_networks": conf})["compare_networks"]
    assert states["run"] == states["sound[-1]"] == "success", states
    tables = [found for found in workshop.store.list(f"{STORE}/comparisons/") if found.uri.endswith("/networks.json")]
    comparison = workshop.store.read(max(tables, key=lambda found: found.modified).uri, Comparison)
    assert [network.inputs for network in comparison.networks] == [("rgb",), ("sound",), ("rgb", "sound")]
    assert comparison.networks[0].run_uri == chain.run
    assert {one.target for one in comparison.networks[2].differences} == {"verb", "noun", "action"}
    assert comparison.failed == ()
