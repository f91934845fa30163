"""What `plan` says of the time that a training takes."""

import importlib.util
import logging
from unittest.mock import Mock

import pytest

from tasks.errors import BadConfiguration
from tasks.model import timing
from tasks.model.checkpoints import save
from tasks.model.class_names import ClassNames
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import TrainOptions
from tasks.results.training import Epoch, PlanResult
from tasks.steps._checkpoints import file_sha256
from tasks.steps.retrain._estimate import log_expected_time
from tasks.wording import duration
from tests.steps.shelf import Shelf, dataset_clip, manifest_of, train_result, weights_result

RUN, DATASET = "s3://retake/runs/old/", "s3://retake/datasets/old/"
WHOLE = TrainOptions(backbone="resnet50", epochs=10, validate_every=2)


def manifest(num_train, num_val):
    return manifest_of(dataset_clip(str(number), "train" if number < num_train else "val") for number in range(num_train + num_val))


@pytest.fixture
def torchless(monkeypatch):
    """As in the image that `plan` runs in."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def said(caplog, tmp_path):
    """The line of a plan on 20 clips and 6 to validate on, after a training of 10 epochs on 10 and 3 took 110 seconds."""
    shelf = Shelf()
    epochs = tuple(
        Epoch(epoch=number, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0) for number in range(10)
    )
    hardware = {"device_name": "a GPU"}
    shelf.write(f"{RUN}train/result.json", train_result("c", "0", epochs=epochs, seconds=110, hardware=hardware))
    shelf.write(f"{DATASET}manifest.json", manifest(10, 3))
    network = Network(NetworkSpec(backbone="test_resnet", num_segments=2), seed=1)
    save(tmp_path / "start.ckpt", network, ClassNames(verbs=tuple(map(str, range(125))), nouns=tuple(map(str, range(352)))))
    shelf.write_file("s3://retake/start.ckpt", tmp_path / "start.ckpt")
    weights = weights_result(uri="s3://retake/start.ckpt", sha256=file_sha256(tmp_path / "start.ckpt"))

    def run(planned, earlier=WHOLE, run_uri=RUN):
        plan = earlier and PlanResult.model_construct(train=earlier, run_uri=run_uri, dataset_uri=DATASET, evaluations=())
        with caplog.at_level(logging.INFO):
            log_expected_time(planned, weights, manifest(20, 6), plan, shelf)
        (line,) = [record.getMessage() for record in caplog.records]
        return line

    return run


def test_twice_the_clips_take_twice_as_long_as_the_champions_training(said, torchless):
    assert said(WHOLE) == (
        "to train: at most 10 epochs of 20 clips, about 3 min 40 s: the champion's training took 1 min 50 s for 10 epochs on a GPU"
    )


def test_epochs_and_crops_of_validations_count(said, torchless):
    # 100 clips learned from and 15 looked at took 110 s; now they are 600 and 6 * 15 * 10.
    planned = WHOLE.model_copy(update={"epochs": 30, "validation_crops": 10})
    assert f"about {duration(110 * (600 + 900 / 3) / (100 + 15 / 3))}:" in said(planned)


@pytest.mark.parametrize(
    ("earlier", "run_uri"),
    [(None, RUN), (WHOLE.model_copy(update={"backbone": "bninception"}), RUN), (WHOLE, "s3://retake/runs/gone/")],
)
def test_without_a_training_like_it_the_line_says_who_will_know(earlier, run_uri, said, torchless):
    assert said(WHOLE, earlier, run_uri).endswith("; `train` says how long it takes after its first batches")


@pytest.mark.parametrize("batch_norm", ["partial", "first-only"])
def test_a_batch_is_timed_where_there_is_torch(said, batch_norm, monkeypatch):
    clock = iter([0, 1, 5, 10, 10.5, 12])
    monkeypatch.setattr(timing, "monotonic", lambda: next(clock))
    line = said(WHOLE.model_copy(update={"batch_size": 2, "validation_crops": 10, "batch_norm": batch_norm}))
    # Two seconds a batch of 2, in 10 epochs of 20; half a second to look at 2, in 5 validations of 6 in 10 crops.
    seconds = 10 * 10 * 2 + 5 * 30 * 0.5
    assert line.startswith(f"to train: at most 10 epochs of 20 clips, about {duration(seconds)}: a batch of 2 took 2 s on ")


def test_what_takes_seconds_is_not_timed(said):
    assert said(WHOLE.model_copy(update={"epochs": 4})) == "to train: at most 4 epochs of 20 clips"


def test_a_device_that_is_not_here_is_timed_by_nobody(said, monkeypatch):
    monkeypatch.setattr(timing, "choose_device", Mock(side_effect=BadConfiguration("no GPU")))
    assert "the champion's training took 1 min 50 s" in said(WHOLE)


def test_heads_wait_for_the_backbone_once(said):
    assert said(WHOLE.model_copy(update={"trainable": "heads"})) == (
        "to train: at most 10 epochs of 20 clips, of the heads alone, once the backbone has seen each clip"
    )
