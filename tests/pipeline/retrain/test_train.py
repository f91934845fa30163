"""The step `train`: from a start that is wide enough for the dataset, and with the further seeds of a recipe."""

from pathlib import Path

import pytest

from tasks.errors import Unavailable
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import load, save
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.spec import ClassNames, NetworkSpec, no_names
from tasks.options import TrainOptions
from tasks.pipeline import _training
from tasks.pipeline._plans import repeats_of
from tasks.pipeline.retrain import train
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.run_layout import Run, Training
from tasks.store.stored import Output
from tests.pipeline.shelf import RUN, Shelf, manifest_of, plan_result, weights_result, words
from tests.records import some

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
OWN_WORDS = words({1: "put", 127: "knit"}, {26: "meat", 352: "sock"})


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The job of a plan that starts from a network, on a dataset of these words."""
    monkeypatch.setattr(_training, "cache_train_frames", lambda *_: {})
    monkeypatch.setattr(_training, "cache_test_frames", lambda *_, **__: {})

    def make(vocabulary, start: Network, classes: ClassNames, seed=0):
        shelf = Shelf()
        save(tmp_path / "start.ckpt", start, classes)
        shelf.write_file(f"{RUN}start.ckpt", tmp_path / "start.ckpt")
        started = weights_result(uri=f"{RUN}start.ckpt", sha256=file_sha256(tmp_path / "start.ckpt"))
        plan = plan_result(train=TrainOptions(backbone="test_resnet", num_segments=2, seed=seed), weights=started)
        manifest = manifest_of((), vocabulary)
        return _training.make_job(plan, Training(f"{RUN}train/"), manifest, shelf, Path(tmp_path), devices=1)

    return make


def test_words_of_ones_own_get_outputs_and_names(planned):
    start = Network(SPEC, seed=1)
    job = planned(OWN_WORDS, start, no_names(SPEC))
    assert (job.network.spec.num_verbs, job.network.spec.num_nouns) == (128, 353)
    assert job.classes.verbs[-2:] == ("verb-126", "knit")
    assert job.classes.known_verbs == {1, 127}
    assert job.network.head.fc_verb.weight[:125].equal(start.head.fc_verb.weight)
    again, other = (planned(OWN_WORDS, start, no_names(SPEC), seed).network for seed in (0, 1))
    assert weights_sha256(job.network) == weights_sha256(again) != weights_sha256(other)


def test_a_trained_start_that_knows_more_keeps_its_outputs_and_their_names(planned, tmp_path):
    wide = Network(SPEC.model_copy(update={"num_verbs": 130}), seed=1)
    names = no_names(wide.spec)
    known = ClassNames(verbs=(*names.verbs[:129], "purl"), nouns=names.nouns)
    job = planned(OWN_WORDS, wide, known)
    assert (job.network.spec.num_verbs, job.network.spec.num_nouns) == (130, 353)
    assert job.classes.verbs[127:] == ("knit", "verb-128", "purl")
    save(tmp_path / "best.pt", job.network, job.classes)
    assert load(tmp_path / "best.pt").classes.known_verbs == {1, 127, 129}


HEADS = {"trainable": "heads", "feature_variants": 1, "num_seeds": 3, "min_gate_clips": 4, "min_gate_sources": 2}


def repeats(bench):
    return [bench.store.read(Output(repeat.plan_uri, PlanResult)) for repeat in bench.plan.repeats]


@pytest.mark.slow
def test_three_seeds_train_heads_on_the_same_views_once_and_their_mean_decides_on_the_network_of_the_own_seed(verbs):
    plan = verbs.decide(**HEADS)
    for _ in range(2):
        written = dict(verbs.store.written)
        verbs.run("train")
        verbs.run("evaluate")
    changed = {uri for uri, at in verbs.store.written.items() if written.get(uri) != at}
    assert changed <= {f"{plan.decision_uri}evaluate/result.json"}
    plans = [plan, *repeats(verbs)]
    results = [verbs.store.read(Run(own.run_uri).train) for own in plans]
    for different in ({own.weights.sha256 for own in plans}, {result.checkpoint_sha256 for result in results}):
        assert len(different) == 3
    assert [verbs.mlflow.named(own.run_key).info.status for own in plans] == ["RUNNING", "FINISHED", "FINISHED"]
    assert [look.networks for look in verbs.looks()] == [plan.run_keys]

    compared, reported = verbs.report()
    assert (compared.attempt.num_others, compared.attempt.num_networks) == (0, 1), "they count as one network"
    spread = compared.spread
    assert [(score.seed, score.run_key) for score in spread.scores] == list(zip((0, 1, 2), plan.run_keys, strict=True))
    assert spread.scores[0].top1 == compared.challenger_top1
    assert spread.difference.num_seeds == 3
    assert spread.difference.difference == pytest.approx(spread.mean_top1 - compared.opponent_top1)
    assert compared.attempt.interval == spread.difference.interval
    logged = verbs.logged.data.metrics
    assert logged["fine-tuned/val/verb_top1_seed_sd"] == spread.top1_seed_sd
    assert logged["fine-tuned/val/verb_top1_seed_1"] == spread.scores[1].top1
    assert "right on average over seeds" in compared.verdict or "the registered network names" in compared.verdict
    for text in (verbs.page(reported), verbs.store.read_bytes(reported.card_uri).decode()):
        assert "3 seeds of the recipe" in text
        assert "seed 2" in text


def test_a_retry_that_begins_with_a_further_seed_keeps_to_one_gpu_and_keeps_freed_memory(verbs, monkeypatch):
    plan, order = verbs.decide(**HEADS), []
    verbs.store.write(Run(plan.run_uri).train, some(TrainResult))

    def begin(seeded, _training, _store, devices):
        order.append((seeded.train.seed, devices))
        raise Unavailable("MLflow is away")

    for name in ("keep_to_one_gpu", "keep_freed_memory"):
        monkeypatch.setattr(train, name, lambda name=name: order.append(name))
    monkeypatch.setattr(train, "train_planned", begin)
    with pytest.raises(Unavailable):
        verbs.run("train")
    assert order == ["keep_to_one_gpu", "keep_freed_memory", (1, 1)]


def test_a_further_seed_is_the_training_that_its_options_alone_lead_to(verbs):
    plan = verbs.decide(**HEADS)
    second, third = repeats(verbs)
    assert [(own.train.seed, own.train.views_seed) for own in (plan, second, third)] == [(0, None), (1, 0), (2, 0)]
    alone = verbs.decide(**HEADS | {"num_seeds": 1, "seed": 1, "views_seed": 0})
    assert alone.run_key == second.run_key
    assert verbs.decide(**HEADS | {"num_seeds": 1}).decision_uri != plan.decision_uri


HEAD = {"trainable": "heads", "epochs": 4}
PROBE = {"trainable": "heads", "head": "probe"}
SAME_VIEWS = {"train_frames": "middle", "crop": "centre", "mirror": False}


@pytest.mark.parametrize(
    ("options", "num_seeds", "seeds"),
    [
        (HEAD, None, [(6, 5), (7, 5), (8, 5), (9, 5)]),
        (HEAD | {"views_seed": 3}, 2, [(6, 3)]),
        (HEAD, 1, []),
        (HEAD | {"epochs": 4000}, None, []),
        (PROBE, None, []),
        (PROBE, 2, [(6, None)]),
        (PROBE | SAME_VIEWS, 3, []),
        (PROBE | {"views_seed": 3}, 3, []),
        ({}, None, []),
        ({}, 3, [(6, None), (7, None)]),
        ({"fuse": ["runs/a/", "runs/b/"]}, 3, []),
        (HEAD | {"fuse": ["runs/a/", "runs/b/"], "join": "features"}, None, [(6, 5), (7, 5), (8, 5), (9, 5)]),
    ],
)
def test_a_recipe_is_repeated_where_that_is_cheap_or_asked_for_and_a_seed_changes_something(options, num_seeds, seeds):
    repeated = repeats_of(TrainOptions(**options, seed=5), num_seeds)
    assert [(own.seed, own.views_seed) for own in repeated] == seeds


def test_after_the_largest_seed_comes_the_first():
    assert [own.seed for own in repeats_of(TrainOptions(seed=2**31 - 1), 2)] == [0]
