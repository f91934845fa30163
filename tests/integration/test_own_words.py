"""Folders of words that nobody knows, through Airflow to a champion; a class more; and the older champion beside the new network."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow import MlflowClient

from tasks.results.dataset import NO_OBJECT, DatasetResult, Manifest
from tasks.results.evaluation import CompareResult, DecideResult
from tasks.results.metrics import Metrics
from tasks.results.training import PlanResult
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

    def call(folder: str) -> tuple[PlanResult, Manifest]:
        states = workshop.dag_test({**CONFS, "ingest_videos": {"store": STORE, "sources": [str(videos / folder)]}})
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
    return taken("later")


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


def test_the_older_champion_is_compared_on_all_clips_and_on_those_that_it_can_name(workshop, first, second):
    plan, manifest = second
    assert plan.champion is not None
    compared = workshop.store.read(f"{plan.decision_uri}compare/result.json", CompareResult)
    assert compared.opponent == "champion"
    num_new = sum(clip.split == "val" and clip.action == "fold napkin" for clip in manifest.clips)
    page = workshop.store.read_bytes(f"{plan.decision_uri}report/report.html").decode()
    assert num_new and f"{num_new} " in page
    metrics = workshop.store.read(f"{plan.decision_uri}report/metrics.json", Metrics)
    accuracy = {result.model: result.action.top1 for result in metrics.results if result.split == "val"}
    assert accuracy["fine-tuned"] > accuracy["champion"]
    versions = MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"]).search_model_versions(f"name = '{MODEL}'")
    assert len(versions) == 2
