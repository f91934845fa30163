import hashlib
import re

import pytest

from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.learn.engines.scorer import make_scorer
from tasks.learn.networks.checkpoints import save
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import spec_of
from tasks.learn.networks.spec import no_names
from tasks.options import TrainOptions, Weights
from tasks.pipeline.compare_versions.compare_versions import unseen
from tasks.pipeline.retrain import _ready
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult
from tasks.store.records.evaluation import ReportResult
from tasks.store.records.experiments import Comparison
from tasks.store.records.training import Champion, Member
from tests.judge.report.tree import Tree
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.mlflow_in_memory import mlflow
from tests.pipeline.retrain.conftest import films
from tests.pipeline.shelf import dataset_clip, manifest_of, plan_result, train_result, weights_result, words
from tests.records import some

pytestmark = pytest.mark.slow

__all__ = ["films", "mlflow"]

PUT, TAKE = (
    {"verb": "put", "verb_class": 1, "noun": "meat", "noun_class": 26},
    {"verb": "take", "verb_class": 0, "noun": "bag", "noun_class": 20},
)
VOCABULARY = words({0: "take", 1: "put"}, {20: "bag", 26: "meat"})
FIRST, SECOND, THIRD = (f"{number:016x}" for number in (1, 2, 3))


def clip(film, split, uid="", source=""):
    return dataset_clip(uid or f"{film}-0", split, video=f"video {film}", source=source or film)


@pytest.mark.parametrize(
    ("trained_on", "left"),
    [
        ([], "abc"),
        ([clip("a", "train")], "bc"),
        ([clip("a", "train", uid="cut in another way")], "bc"),
        ([clip("b", "val"), clip("c", "train")], "a"),
        ([clip("z", "train", uid="a-0")], "bc"),
        ([clip("z", "train", source="b")], "ac"),
        ([clip("a", "train", uid="x", source="renamed")], "bc"),
        ([clip("z", "train")], "abc"),
    ],
)
def test_a_clip_is_unseen_if_neither_it_nor_its_film_nor_its_source_was_trained_on(trained_on, left):
    assert "".join(one.source for one in unseen([clip(film, "test") for film in "abc"], trained_on)) == left


def test_a_film_is_seen_with_another_of_the_source_video_that_both_are_of_today():
    today = [clip("a", "test", source="kitchen"), clip("b", "test", source="kitchen"), clip("c", "test")]
    assert unseen(today, [clip("a", "train")]) == (today[2],)


class Versions(Bench):
    """Two registered versions, of which the first always answers `put meat`, and the second `take bag`."""

    def __init__(self, films, mlflow, folder):
        super().__init__()
        self.films, self.mlflow, self.folder = films, mlflow, folder
        mlflow.create_registered_model("cook", {"retake.store": STORE})
        self.datasets = {}

    def dataset(self, name, **splits):
        """Make a dataset with two clips of each film in its split; film `e` shows somebody put meat, then take a bag."""
        clips = []
        for film, split in splits.items():
            video = hashlib.sha256(film.encode()).hexdigest()
            for cut, label in zip(self.store.clips(video, 2), (PUT, TAKE if film == "e" else PUT), strict=True):
                self.store.write_bytes(cut.uri, self.films[0])
                seen = cut.model_dump(exclude={"index", "size_bytes", "has_audio"})
                clips.append(dataset_clip(split=split, source=film, names=(f"{film} <b>.mp4",), **seen, **label))
        place = Layout(STORE).dataset(name)
        self.store.write(place.manifest, manifest_of(clips, VOCABULARY))
        self.store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest=name, dataset_uri=place.folder_uri))
        return place.folder_uri

    def train(self, key, dataset_uri, answer, **weights):
        """Leave a network as if it had been trained on a dataset, and register it."""
        options = TrainOptions(backbone="test_resnet", num_segments=2)
        network = Network(spec_of(options), seed=int(key))
        network.head.fc_verb.bias.data[answer["verb_class"]] = 1000
        network.head.fc_noun.bias.data[answer["noun_class"]] = 1000
        save(self.folder / "c.ckpt", network, no_names(network.spec))
        run = Layout(STORE).run(key)
        self.store.write_file(run.train.best, self.folder / "c.ckpt")
        sha256 = self.store.stat(run.train.best).etag
        mlflow_run = self.mlflow.create_run("1").info.run_id
        self.store.write(run.train, train_result(run.train.best, sha256, mlflow_run_id=mlflow_run))
        placed = {"run_key": key, "run_uri": run.folder_uri, "decision_uri": run.decision("d").folder_uri, "dataset_uri": dataset_uri}
        plan = plan_result(**placed, train=options, weights=weights_result(**weights))
        self.store.write(run.decision("d").plan, plan)
        known = {"retake.checkpoint_uri": run.train.best, "retake.checkpoint_sha256": sha256, "retake.run_key": key}
        self.mlflow.create_model_version("cook", source="", run_id=mlflow_run, tags=known)

    def compare(self, first="models:/cook/1", second="models:/cook/2", **options):
        """Run the step, and return its result and the comparison."""
        few = {"crops": 1, "engine": "pytorch", "bootstrap_resamples": 100}
        result = self.run("compare_versions", first=first, second=second, **few | options)
        return result, self.store.read(result.comparison_uri, Comparison)


@pytest.fixture
def versions(films, mlflow, tmp_path, monkeypatch):
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1}.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    made = Versions(films, mlflow, tmp_path)
    made.train(FIRST, made.dataset("older", a="train", b="val"), PUT)
    made.train(SECOND, made.dataset("newer", a="train", b="val", c="train"), TAKE)
    made.dataset("latest", a="train", b="val", c="train", d="train", e="test")
    return made


def test_two_versions_are_compared_on_the_clips_of_films_that_trained_neither(versions):
    before = set(versions.store.objects)
    result, comparison = versions.compare()
    first, second = comparison.networks
    assert (first.name, second.name) == ("cook version 1", "cook version 2")
    assert (comparison.num_clips, comparison.num_sources) == (4, 2)
    assert (first.verb.top1, second.verb.top1) == (0.75, 0.25)
    assert {one.target: one.difference for one in second.differences} == {"verb": -0.5, "noun": -0.5, "action": -0.5}
    assert {one.counts for one in comparison.confusions if one.model == "fine-tuned" and one.target == "verb"} == {((0, 3), (0, 1))}
    assert [(one.label, one.first, one.second) for one in comparison.differing] == [("put meat", "put meat", "take bag")] * 3 + [
        ("take bag", "put meat", "take bag")
    ]
    page = versions.store.read_bytes(result.report_uri).decode()
    told = Tree(page).text
    assert "Of the 10 labelled clips of the dataset, 6 are of films that trained one of the two networks" in told
    assert "4 clips of 2 source videos are few" in told
    assert page.count("e &lt;b&gt;.mp4 0:00\N{EN DASH}0:01") >= 2
    assert page.count("data:image/jpeg") == len(comparison.named_uids) == 4
    assert {uri.removeprefix(f"{STORE}/").partition("/")[0] for uri in set(versions.store.objects) - before} == {"comparisons", "looks"}
    assert not versions.mlflow.models["cook"].aliases
    assert versions.compare() == (result, comparison)


START = Layout(STORE).run(SECOND).train.best


@pytest.mark.parametrize(
    "made_from", [{"weights": Weights.TRAINED, "uri": START}, {"members": (some(Member, checkpoint_uri=START),)}], ids=["started", "fused"]
)
def test_what_a_network_was_made_from_was_trained_on_its_clips_too(versions, made_from):
    versions.train(THIRD, versions.dataset("other", z="train", y="val"), TAKE, **made_from)
    _, comparison = versions.compare(f"runs/{FIRST}/", "models:/cook/3", dataset=Layout(STORE).dataset("latest").folder_uri)
    assert comparison.networks[0].name == f"runs/{FIRST}/"
    assert (comparison.num_clips, comparison.num_sources) == (4, 2)


def test_one_engine_scores_both(versions, monkeypatch):
    wanted = []

    def make(saved, engine, jobs):
        wanted.append(engine)
        scorer, used = make_scorer(saved, "pytorch", jobs)
        return scorer, used.model_copy(update={"name": "openvino"} if len(wanted) == 1 else {})

    monkeypatch.setattr(_ready, "make_scorer", make)
    _, comparison = versions.compare(engine="auto")
    assert wanted == ["auto", "auto", "pytorch", "pytorch"]
    assert (
        "cook version 1 by openvino float32 and cook version 2 by pytorch float32 so far" in comparison.networks[1].engine.fallback_reason
    )


def test_what_cannot_be_compared_is_refused_with_the_numbers(versions):
    with pytest.raises(BadConfiguration, match=re.escape("first and second are one network, cook version 1")):
        versions.compare(second=f"runs/{FIRST}/")
    with pytest.raises(
        BadInput, match=r"Of the 2 labelled clips of its split test, 0 are .* 2 clips with an action, of 1 source video, are left"
    ):
        versions.compare(split="test")
    report = some(ReportResult, report_url="http://mlflow/report.html")
    versions.store.write(Layout(STORE).run(SECOND).decision("d").report, report)
    with pytest.raises(BadInput, match="are left"):
        versions.compare(split="test")
    plan = versions.store.read(Layout(STORE).run(SECOND).decision("d").plan)
    sha256 = versions.store.stat(Layout(STORE).run(FIRST).train.best).etag
    champion = some(Champion, checkpoint_sha256=sha256, flows=(), sounds=())
    versions.store.write(Layout(STORE).run(SECOND).decision("d").plan, plan.model_copy(update={"champion": champion}))
    with pytest.raises(
        NothingToDo, match=r"0 are .* report of retrain compares both on the clips that decided: http://mlflow/report\.html"
    ):
        versions.compare(split="test")
    versions.store.remove(Layout(STORE).dataset("newer").manifest.uri)
    with pytest.raises(BadInput, match="second: the clips that cook version 2 was trained on are not known"):
        versions.compare()
