import re

import pytest

from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.learn.engines.scorer import make_scorer
from tasks.options import Weights
from tasks.pipeline._trained import unseen
from tasks.pipeline.retrain import _ready
from tasks.store.layout import Layout
from tasks.store.records.decisions import ReportResult
from tasks.store.records.training import Champion, Member
from tests.judge.report.tree import Tree
from tests.pipeline.compare_versions.versions import PUT, TAKE
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import dataset_clip
from tests.records import some

pytestmark = pytest.mark.slow

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
    assert "".join(seen.source for seen in unseen([clip(film, "test") for film in "abc"], trained_on)) == left


def test_a_film_is_seen_with_another_of_the_source_video_that_both_are_of_today():
    today = [clip("a", "test", source="kitchen"), clip("b", "test", source="kitchen"), clip("c", "test")]
    assert unseen(today, [clip("a", "train")]) == (today[2],)


@pytest.fixture
def versions(versions):
    versions.train(FIRST, versions.dataset("older", a="train", b="val"), PUT)
    versions.train(SECOND, versions.dataset("newer", a="train", b="val", c="train"), TAKE)
    versions.dataset("latest", a="train", b="val", c="train", d="train", e="test")
    return versions


def test_two_versions_are_compared_on_the_clips_of_films_that_trained_neither(versions):
    before = set(versions.store.objects)
    result, comparison = versions.compare()
    first, second = comparison.networks
    assert (first.name, second.name) == ("cook version 1", "cook version 2")
    assert (comparison.num_clips, comparison.num_sources) == (4, 2)
    assert (first.verb.top1, second.verb.top1) == (0.75, 0.25)
    assert {own.target: own.difference for own in second.differences} == {"verb": -0.5, "noun": -0.5, "action": -0.5}
    assert {own.counts for own in comparison.confusions if (own.model, own.target) == ("fine-tuned", "verb")} == {((0, 3), (0, 1))}
    assert [(clip.label, clip.first, clip.second) for clip in comparison.differing] == [("put meat", "put meat", "take bag")] * 3 + [
        ("take bag", "put meat", "take bag")
    ]
    page = versions.store.read_bytes(result.report_uri).decode()
    told = Tree(page).text
    assert (
        "Of the 10 labelled clips of the dataset, 6 are of videos that trained one of the two networks or chose among its epochs, and left out."
        in told
    )
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
        BadInput,
        match=r"Of the 2 labelled clips of its split test, none is of a video that .* 2 clips with an action, of 1 source video, are left",
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
        NothingToDo, match=r"none is .* report of retrain compares both on the clips that decided: http://mlflow/report\.html"
    ):
        versions.compare(split="test")
    versions.store.remove(Layout(STORE).dataset("newer").manifest.uri)
    with pytest.raises(BadInput, match="second: the clips that cook version 2 was trained on are not known"):
        versions.compare()
