"""What the step train trains: the start, wide enough for the dataset."""

from pathlib import Path

import pytest

from tasks.learn.networks.checkpoints import load, save
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.spec import ClassNames, NetworkSpec, no_names
from tasks.options import TrainOptions
from tasks.pipeline import _training
from tasks.pipeline._checkpoints import file_sha256
from tasks.store.runs import Training
from tests.pipeline.shelf import RUN, Shelf, manifest_of, plan_result, weights_result, words

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
EPIC_WORDS = words({1: "put"}, {26: "meat"})
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


def test_epics_words_leave_the_start_as_it_is(planned):
    start = Network(SPEC, seed=1)
    job = planned(EPIC_WORDS, start, no_names(SPEC))
    assert job.network.spec == SPEC
    assert weights_sha256(job.network) == weights_sha256(start)


def test_a_trained_start_that_knows_more_keeps_its_outputs_and_their_names(planned, tmp_path):
    wide = Network(SPEC.model_copy(update={"num_verbs": 130}), seed=1)
    names = no_names(wide.spec)
    known = ClassNames(verbs=(*names.verbs[:129], "purl"), nouns=names.nouns)
    job = planned(OWN_WORDS, wide, known)
    assert (job.network.spec.num_verbs, job.network.spec.num_nouns) == (130, 353)
    assert job.classes.verbs[127:] == ("knit", "verb-128", "purl")
    save(tmp_path / "best.pt", job.network, job.classes)
    assert load(tmp_path / "best.pt").classes.known_verbs == {1, 127, 129}
