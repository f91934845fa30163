"""What the step train trains: the start, wide enough for the dataset."""

from pathlib import Path

import pytest

from tasks.model.checkpoints import load, save
from tasks.model.class_names import ClassNames, no_names
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import NetworkSpec
from tasks.options import EvaluateOptions, GateOptions, LabelOptions, SegmentOptions, SplitOptions, TrainOptions, Weights
from tasks.results.dataset import ClassRef, Manifest, Vocabulary
from tasks.results.training import PlanResult, WeightsResult
from tasks.steps import _training
from tasks.steps._checkpoints import file_sha256
from tasks.store.runs import Training
from tests.steps.shelf import Shelf

RUN = "s3://retake/runs/0123/"
SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
EPIC_WORDS = Vocabulary(verbs=(ClassRef(id=1, name="put"),), nouns=(ClassRef(id=26, name="meat"),))
OWN_WORDS = Vocabulary(verbs=(*EPIC_WORDS.verbs, ClassRef(id=127, name="knit")), nouns=(*EPIC_WORDS.nouns, ClassRef(id=352, name="sock")))


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The job of a plan that starts from a network, on a dataset of these words."""
    monkeypatch.setattr(_training, "cache_train_frames", lambda *_: {})
    monkeypatch.setattr(_training, "cache_test_frames", lambda *_, **__: {})

    def make(words, start: Network, classes: ClassNames, seed=0):
        shelf = Shelf()
        save(tmp_path / "start.ckpt", start, classes)
        shelf.write_file(f"{RUN}start.ckpt", tmp_path / "start.ckpt")
        plan = PlanResult(
            run_key="0123",
            run_uri=RUN,
            dataset_uri="s3://retake/datasets/x/",
            dataset_digest="x",
            train=TrainOptions(backbone="test_resnet", num_segments=2, seed=seed),
            evaluate=EvaluateOptions(),
            gate=GateOptions(),
            decision_uri=f"{RUN}decisions/d/",
            num_champions=0,
            model_name="m",
            weights=WeightsResult(
                network="TSN test_resnet rgb, 2 segments",
                backbone="test_resnet",
                weights=Weights.NONE,
                uri=f"{RUN}start.ckpt",
                sha256=file_sha256(tmp_path / "start.ckpt"),
                description="none",
                is_chance=True,
            ),
            champion=None,
            evaluations=(),
        )
        manifest = Manifest(
            recipe="r",
            segment=SegmentOptions(),
            label=LabelOptions(),
            split=SplitOptions(),
            vocabulary=words,
            clips=(),
            excluded=(),
            warnings=(),
        )
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
