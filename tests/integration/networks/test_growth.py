"""A class that the champion does not know: it starts the next training, is widened, and is what the next version is compared with."""

import subprocess
import sys

import pytest
import torch
from mlflow import MlflowClient

from tasks.model.checkpoints import load
from tasks.results.dataset import ClassRef, Manifest, Vocabulary
from tasks.results.evaluation import CompareResult, EvaluateResult, RegisterResult, ReportResult
from tasks.results.training import PlanResult, TrainResult
from tests.integration.conftest import CHAIN_STORE as STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MODEL = "grown"
DATASET = f"{STORE}/datasets/{'9' * 16}/"
LOAD = """
import mlflow, sys, torch
model = mlflow.pytorch.load_model(sys.argv[1])
print(*(tuple(logits.shape) for logits in model(torch.zeros(2, 2, 256, 300, 3, dtype=torch.uint8))))
"""


@pytest.fixture(scope="module")
def champion(workshop, chain):
    """What was trained before, as the champion of a model of its own."""
    trained = workshop.store.read(f"{chain.run}train/result.json", TrainResult)
    client = MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])
    client.create_registered_model(MODEL, tags={"retake.store": STORE})
    tags = {
        "retake.checkpoint_uri": trained.checkpoint_uri,
        "retake.checkpoint_sha256": trained.checkpoint_sha256,
        "retake.run_key": chain.run.rstrip("/").rpartition("/")[2],
    }
    version = client.create_model_version(MODEL, source=f"runs:/{trained.mlflow_run_id}/model", run_id=trained.mlflow_run_id, tags=tags)
    client.set_registered_model_alias(MODEL, "champion", version.version)
    return trained


@pytest.fixture(scope="module")
def dataset(workshop, chain):
    """The same clips, one noun of which is somebody's own word from now on."""
    planned = workshop.store.read(f"{chain.plan}result.json", PlanResult)
    manifest = workshop.store.read(f"{planned.dataset_uri}manifest.json", Manifest)
    in_val = [clip for clip in manifest.clips if clip.split == "val"]
    renamed = next(clip.noun for clip in in_val if any(other.noun != clip.noun for other in in_val))
    own = ClassRef(id=360, name="sock")
    clips = tuple(
        clip.model_copy(update={"noun": own.name, "noun_class": own.id}) if clip.noun == renamed else clip for clip in manifest.clips
    )
    nouns = (*(ref for ref in manifest.vocabulary.nouns if ref.name != renamed), own)
    for split in ("train", "val"):
        workshop.store.write_bytes(f"{DATASET}{split}.csv", workshop.store.read_bytes(f"{planned.dataset_uri}{split}.csv"))
    found = manifest.model_copy(update={"clips": clips, "vocabulary": Vocabulary(verbs=manifest.vocabulary.verbs, nouns=nouns)})
    workshop.store.write(f"{DATASET}manifest.json", found)
    return found


@pytest.fixture(scope="module")
def plan(workshop, champion, dataset):
    """Trained from the champion, tested beside it, and registered."""
    done = workshop.plan(STORE, "grown", dataset=DATASET, model_name=MODEL, checkpoint=f"models:/{MODEL}@champion", promotion="never")
    assert done.returncode == 0, done.stderr
    planned = PlanResult.model_validate_json(done.stdout.splitlines()[-1])
    flags = {"store": STORE, "plan": f"{planned.decision_uri}plan/"}
    workshop.run("train", **flags, out=f"{planned.run_uri}train/")
    for network in planned.networks:
        workshop.run("evaluate", **flags, model=network.model, out=f"{planned.decision_uri}evaluate/{network.model}/")
    for step in ("compare", "report"):
        workshop.run(step, **flags, out=f"{planned.decision_uri}{step}/")
    workshop.run("register", **flags, out=f"{planned.run_uri}register/")
    return planned


def test_known_rows_of_the_champion_are_the_start(workshop, plan, champion, tmp_path):
    assert (plan.weights.uri, plan.weights.sha256) == (champion.checkpoint_uri, champion.checkpoint_sha256)
    trained = workshop.store.read(f"{plan.run_uri}train/result.json", TrainResult)
    workshop.store.read_file(trained.checkpoint_uri, tmp_path / "new.pt")
    workshop.store.read_file(champion.checkpoint_uri, tmp_path / "old.pt")
    new, old = load(tmp_path / "new.pt"), load(tmp_path / "old.pt")
    assert (new.network.spec.num_verbs, new.network.spec.num_nouns) == (125, 361)
    assert new.classes.nouns[360] == "sock"
    assert old.classes.known_nouns < new.classes.known_nouns
    # An epoch of a low rate: as good as the rows that it started from.
    torch.testing.assert_close(new.network.head.fc_noun.weight[:352], old.network.head.fc_noun.weight, atol=0.05, rtol=0)


def test_the_champion_is_scored_on_all_clips_and_beside_that_on_those_that_it_can_name(workshop, plan, dataset):
    of_own = sum(clip.split == "val" and clip.noun == "sock" for clip in dataset.clips)
    in_val = sum(clip.split == "val" for clip in dataset.clips)
    compared = workshop.store.read(f"{plan.decision_uri}compare/result.json", CompareResult)
    assert [(one.model, one.num_clips, one.classes) for one in compared.nameable.unnamed] == [
        ("baseline", of_own, ("noun sock",)),
        ("champion", of_own, ("noun sock",)),
    ]
    assert compared.nameable.num_clips == in_val - of_own
    assert {one.num_clips for one in compared.differences} == {in_val}
    champion = workshop.store.read(f"{next(e.out for e in plan.evaluations if e.model == 'champion')}result.json", EvaluateResult)
    assert champion.num_clips == in_val
    assert next(c.recall for c in champion.noun.classes if c.name == "sock") == 0
    reported = workshop.store.read(f"{plan.decision_uri}report/result.json", ReportResult)
    for uri in (reported.report_uri, reported.card_uri):
        assert f"{of_own} of {in_val} val clips belong" in workshop.store.read_bytes(uri).decode()


def test_the_registered_version_answers_in_all_classes_without_our_code(workshop, plan, tmp_path):
    registered = workshop.store.read(f"{plan.run_uri}register/result.json", RegisterResult)
    environment = {"MLFLOW_TRACKING_URI": workshop.environment["MLFLOW_TRACKING_URI"]}
    script = [sys.executable, "-I", "-c", LOAD, f"models:/{MODEL}/{registered.version}"]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("(2, 125) (2, 361)"), done.stderr
