"""Folders of unknown words, through Airflow to a champion; a class more; and the champion as start and opponent of a wider network."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tasks.model.checkpoints import load
from tasks.results.dataset import NO_OBJECT, DatasetResult, Manifest
from tasks.results.evaluation import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.results.metrics import Metrics
from tasks.results.training import PlanResult, TrainResult
from tests.integration.workshop import EASY_GATE, TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "s3://retake-own-words"
MODEL = "own-words"
COLOURS = {"first/knit sock": "red", "first/наливать чай": "green", "first/wave": "blue", "later/fold napkin": "yellow"}
NUM_FILMS = 6
CONFS = {
    "ingest_videos": {"store": STORE},
    "build_dataset": {"store": STORE, "val_share": 0.5},
    "retrain": {
        **TRAINING,
        **EASY_GATE,
        "store": STORE,
        "model_name": MODEL,
        "trainable": "heads",
        "epochs": 12,
        "learning_rate": 0.01,
    },
}


LOAD = """
import mlflow, sys, torch
model = mlflow.pytorch.load_model(sys.argv[1])
print(*(tuple(logits.shape) for logits in model(torch.zeros(2, 2, 256, 300, 3, dtype=torch.uint8))))
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory, ffmpeg):
    """Folders of labels, with short films of one colour each, which differ in shade and noise."""
    folder = tmp_path_factory.mktemp("own words")

    def draw(label: str, number: int) -> None:
        film = folder / label / f"{number}.mp4"
        film.parent.mkdir(parents=True, exist_ok=True)
        picture = f"color={COLOURS[label]}:s=96x96:r=15:d=4,noise=alls=20:all_seed={number},hue=b={number / 4 - 0.5}"
        command = [ffmpeg, "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", film]
        subprocess.run(command, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw, [label for label in COLOURS for _ in range(NUM_FILMS)], [*range(NUM_FILMS)] * len(COLOURS)))
    return folder


@pytest.fixture(scope="module")
def taken(workshop, videos):
    """Takes a folder in and trains on all that is there, in Airflow; the plan and the dataset that it made."""

    def call(folder: str, **options: str) -> tuple[PlanResult, Manifest]:
        sources = {"store": STORE, "sources": [str(videos / folder)]}
        states = workshop.dag_test({**CONFS, "ingest_videos": sources, "retrain": CONFS["retrain"] | options})
        assert {dag_id: run["run"] for dag_id, run in states.items()} == dict.fromkeys(CONFS, "success"), json.dumps(states, indent=1)
        dataset = workshop.store.read(f"{STORE}/datasets/result.json", DatasetResult).dataset_uri
        plans = [workshop.store.read(found.uri, PlanResult) for found in workshop.store.list(f"{STORE}/plans/")]
        (plan,) = (plan for plan in plans if plan.dataset_uri == dataset)
        return plan, workshop.store.read(f"{dataset}manifest.json", Manifest)

    return call


@pytest.fixture(scope="module")
def first(taken):
    return taken("first")


@pytest.fixture(scope="module")
def second(taken, first):
    return taken("later", checkpoint=f"models:/{MODEL}@champion")


def test_every_clip_is_trained_on_under_ids_of_the_stores_own(first):
    _, manifest = first
    verbs = {clip.action: clip.verb_class for clip in manifest.clips}
    assert sorted(verbs) == ["knit sock", "wave", "наливать чай"]
    assert sorted(verbs.values()) == [125, 126, 127]
    assert {clip.noun for clip in manifest.clips} == {"sock", "чай", NO_OBJECT}
    assert sorted({clip.noun_class for clip in manifest.clips}) == [352, 353, 354]
    assert len(manifest.clips) == 3 * NUM_FILMS


def test_its_network_becomes_champion(workshop, first):
    plan, _ = first
    decided = workshop.store.read(f"{plan.decision_uri}decide/result.json", DecideResult)
    assert decided.promoted
    assert "champion" in decided.aliases


def test_a_class_more_leaves_the_ids_of_the_others_alone(first, second):
    before, after = ({clip.action: (clip.verb_class, clip.noun_class) for clip in manifest.clips} for _, manifest in (first, second))
    assert after == {**before, "fold napkin": (128, 355)}


def test_the_rows_that_the_champion_has_are_the_start_of_a_wider_network(workshop, second, tmp_path):
    plan, _ = second
    assert plan.champion is not None
    assert plan.weights.uri == plan.champion.checkpoint_uri
    trained = workshop.store.read(f"{plan.run_uri}train/result.json", TrainResult)
    workshop.store.read_file(trained.checkpoint_uri, tmp_path / "new.pt")
    workshop.store.read_file(plan.champion.checkpoint_uri, tmp_path / "old.pt")
    new, old = load(tmp_path / "new.pt"), load(tmp_path / "old.pt")
    assert [(one.network.spec.num_verbs, one.network.spec.num_nouns) for one in (old, new)] == [(128, 355), (129, 356)]
    assert (new.classes.verbs[128], new.classes.nouns[355]) == ("fold", "napkin")
    assert new.classes.known_nouns - old.classes.known_nouns == {355}
    torch.testing.assert_close(new.network.head.fc_noun.weight[:352], old.network.head.fc_noun.weight[:352], atol=0.2, rtol=0)


def test_the_older_champion_is_compared_on_all_clips_and_on_those_that_it_can_name(workshop, second):
    plan, manifest = second
    in_val = [clip.action for clip in manifest.clips if clip.split == "val"]
    num_new = in_val.count("fold napkin")
    compared = workshop.store.read(f"{plan.decision_uri}compare/result.json", CompareResult)
    assert compared.opponent == "champion"
    assert {one.num_clips for one in compared.differences} == {len(in_val)}
    assert {one.model: (one.num_clips, one.classes) for one in compared.nameable.unnamed} == dict.fromkeys(
        ("baseline", "champion"), (num_new, ("verb fold", "noun napkin"))
    )
    assert compared.nameable.num_clips == len(in_val) - num_new > 0
    reported = workshop.store.read(f"{plan.decision_uri}report/result.json", ReportResult)
    for uri in (reported.report_uri, reported.card_uri):
        assert f"{num_new} of {len(in_val)} val clips belong" in workshop.store.read_bytes(uri).decode()
    results = workshop.store.read(reported.metrics_uri, Metrics).results
    accuracy = {result.model: result.action.top1 for result in results if result.split == "val"}
    assert accuracy["fine-tuned"] > accuracy["champion"]


def test_the_registered_version_answers_in_all_classes_without_our_code(workshop, second, tmp_path):
    plan, _ = second
    registered = workshop.store.read(f"{plan.run_uri}register/result.json", RegisterResult)
    environment = {"MLFLOW_TRACKING_URI": workshop.environment["MLFLOW_TRACKING_URI"]}
    script = [sys.executable, "-I", "-c", LOAD, f"models:/{MODEL}/{registered.version}"]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().endswith("(2, 129) (2, 356)"), done.stderr
