"""The whole loop: new films are predicted, labelled with words of no list, and trained on; the next champion knows more of films it never saw."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from mlflow import MlflowClient
from pydantic import BaseModel
from starlette.testclient import TestClient

from tasks.data.clips.label_inputs import read_log
from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.pages.label.app import Person, make_app
from tasks.pages.label.page_data import PageData
from tasks.store.records.dataset import Manifest
from tasks.store.records.decisions import CompareResult, DecideResult, ReportResult
from tests.films.film import Film
from tests.films.loop import KNOWN, make_loop
from tests.integration.workshop import Workshop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

STORE, MODEL = "s3://retake-loop", "loop"
NUM_TO_LABEL = 20
NUM_FILMS = {"first": 20, "new": 24, "unseen": 8}
SCORING = {"crops": 1, "engine": "pytorch"}
CLIPS = {"clip_seconds": 2, "min_clip_seconds": 1}
"""Of 2 s, as long as a film: drawing and decoding take most of the time."""
FIRST_BUILD, BUILD = {**CLIPS, "val_share": 0.4, "test_share": 0}, {"val_share": 0.5, "test_share": 0}
"""Val gets enough clips for the gate, and later enough of the new ones."""
RETRAIN = {
    "model_name": MODEL,
    "backbone": "tf_efficientnet_lite0",
    "weights": "imagenet",
    "head": "probe",
    "trainable": "heads",
    "num_segments": 2,
    "train_frames": "middle",
    "crop": "centre",
    "mirror": False,
    "learning_curve": False,
    "min_gate_clips": 8,
    "yearly_error": 1,
    **SCORING,
}
OWN_WORDS = {"sauce": "чай", "potato": "sock"}
"""What people call the things that the first films do not show."""
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Drawn:
    """The folders of the films, and what they show."""

    folder: Path
    films: dict[str, list[Film]]

    def source(self, part: str) -> str:
        return str(self.folder / part)

    def shown(self, name: str) -> str:
        """Return the action of a film."""
        (interval,) = next(film.intervals for films in self.films.values() for film in films if film.name == name)
        return f"{interval.verb} {OWN_WORDS.get(interval.noun, interval.noun)}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Drawn:
    folder = tmp_path_factory.mktemp("loop")
    return Drawn(folder, make_loop(folder, ffmpeg=find_ffmpeg(None), num_films=NUM_FILMS, seconds=CLIPS["clip_seconds"]))


@pytest.fixture(scope="module", autouse=True)
def registry(workshop) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", workshop.environment["MLFLOW_TRACKING_URI"])
        yield


def run(workshop: Workshop, **confs: dict[str, object]) -> None:
    """Run DAGs in turn on the store of the loop, each of which must succeed."""
    states = workshop.dag_test({dag_id: {"store": STORE, **conf} for dag_id, conf in confs.items()})
    assert {dag_id: tasks["run"] for dag_id, tasks in states.items()} == dict.fromkeys(confs, "success")


def latest(workshop: Workshop, part: str, name: str) -> str:
    """Find the object of this name that was written last under a part of the store."""
    of_name = [stored for stored in workshop.store.list(f"{STORE}/{part}/") if stored.uri.endswith(f"/{name}")]
    return max(of_name, key=lambda stored: stored.modified).uri


def decided(workshop: Workshop, step: str, model: type[M]) -> M:
    """Read the result of a step of the latest decision."""
    return workshop.store.read(latest(workshop, "runs", f"{step}/result.json"), model)


def table(workshop: Workshop, name: str) -> list[dict[str, str]]:
    """Read a table of the latest prediction."""
    return list(csv.DictReader(io.StringIO(workshop.store.read_bytes(latest(workshop, "predictions", name)).decode())))


def champion() -> int:
    return int(MlflowClient().get_model_version_by_alias(MODEL, "champion").version)


@pytest.fixture(scope="module")
def first(workshop, drawn) -> None:
    """Make a champion of the labelled films, which show two things."""
    run(workshop, ingest_videos={"sources": [drawn.source("first")], **CLIPS}, build_dataset=FIRST_BUILD, retrain=RETRAIN)
    assert decided(workshop, "decide", DecideResult).promoted, decided(workshop, "compare", CompareResult).reason


@pytest.fixture(scope="module")
def to_label(workshop, drawn, first) -> list[str]:
    """Ingest the new films and predict them; return the clips that are worth a label."""
    predict = {"model": f"models:/{MODEL}@champion", "num_to_label": NUM_TO_LABEL, **SCORING}
    run(workshop, ingest_videos={"sources": [drawn.source("new")], **CLIPS}, predict_videos=predict)
    return [row["uid"] for row in table(workshop, "to_label.csv")]


def person() -> Person:
    return Person("anna", may_write=True)


@pytest.fixture(scope="module")
def labelled(workshop, drawn, to_label) -> Counter[str]:
    """Label the clips as the page asks for them, and count how; then build the dataset as the page does, and retrain."""
    how, data = Counter[str](), PageData(workshop.store, STORE)
    data._read_view()
    client = TestClient(make_app([data], person, second_share=0), headers={"x-retake": "label"})
    for number in range(NUM_TO_LABEL):
        clip = client.get("/queue", params={"limit": 1}).json()["clips"][0]
        assert clip["reason"]
        action = drawn.shown(clip["name"])
        verb, _, noun = action.partition(" ")
        suggested = clip["suggestions"][0]
        how["accepted" if (suggested["verb"], suggested["noun"]) == (verb, noun) else "typed"] += 1
        said = {"token": f"anna-{number:08d}", "kind": "clip", "uid": clip["uid"], "answer": "action", "verb": verb, "noun": noun}
        assert client.post("/statements", json=said).status_code == 200
    state = client.get("/state").json()
    assert state["counts"]["num_labelled"] == NUM_FILMS["first"] + NUM_TO_LABEL
    run(workshop, build_dataset=BUILD | state["build_options"], retrain=RETRAIN)
    return how


def test_the_clips_of_the_list_are_labelled_in_its_order(workshop, to_label, labelled):
    assert [entry.statement.uid for entry in read_log(workshop.store, STORE)] == to_label
    assert labelled["typed"] > labelled["accepted"], "most new clips show what the champion does not know"


def test_the_gate_promotes_the_network_that_was_trained_on_them(workshop, labelled):
    compared = decided(workshop, "compare", CompareResult)
    assert (compared.opponent, compared.champion_version) == ("champion", 1)
    assert decided(workshop, "decide", DecideResult).promoted, compared.reason
    assert champion() == 2
    page = workshop.store.read_bytes(decided(workshop, "report", ReportResult).report_uri).decode()
    assert "Better than the champion:" in page


def test_words_of_no_list_get_ids_and_outputs_that_the_older_champion_lacks(workshop, labelled):
    manifest = workshop.store.read(latest(workshop, "datasets", "manifest.json"), Manifest)
    nouns = {clip.noun: clip.noun_class for clip in manifest.clips}
    assert {noun: nouns[noun] for noun in OWN_WORDS.values()} == {"sock": 352, "чай": 353}
    in_val = [clip for clip in manifest.clips if clip.split == "val"]
    num_new = sum(clip.noun in OWN_WORDS.values() for clip in in_val)
    nameable = decided(workshop, "compare", CompareResult).nameable
    assert {network.model: network.num_clips for network in nameable.unnamed}["champion"] == num_new
    assert nameable.num_clips == len(in_val) - num_new > 0
    reported = decided(workshop, "report", ReportResult)
    for uri in (reported.report_uri, reported.card_uri):
        assert f"{num_new} of {len(in_val)} val clips belong" in workshop.store.read_bytes(uri).decode()


def test_the_new_champion_is_better_on_films_that_neither_saw(workshop, drawn, labelled):
    networks = {"model": f"models:/{MODEL}/1", "against": f"models:/{MODEL}/2"}
    run(workshop, predict_videos={"videos": [drawn.source("unseen")], **networks, **SCORING})
    best = [row for row in table(workshop, "predictions.csv") if row["rank"] == "1"]
    right = Counter(row["network"] for row in best if row["action"] == drawn.shown(row["video"]))
    before, after = (right[f"{MODEL} version {number}"] for number in (1, 2))
    num_known = sum(tuple(drawn.shown(film.name).split()) in KNOWN for film in drawn.films["unseen"])
    assert (len(best), num_known) == (2 * 8, 4)
    assert before <= num_known, "it cannot name what nobody had labelled"
    assert after >= before + 3
