"""Tests of the time that a plan expects of a training, and of its question."""

import pytest

from tasks.options import EvaluateOptions, Head, TrainOptions
from tasks.pipeline._estimate import Estimate, estimate, question, seconds_to_test
from tasks.store.records.training import BatchTime, Epoch, PlanResult
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, train_result, weights_result

RUN, DATASET = "s3://retake/runs/old/", "s3://retake/datasets/old/"
WHOLE = TrainOptions(backbone="resnet50", epochs=10, validate_every=2)
HEADS = WHOLE.model_copy(update={"trainable": "heads"})
PROBE = HEADS.model_copy(update={"head": Head.PROBE})
PACE = BatchTime(num_clips=2, seconds=3, forward_seconds=1, device="a CPU")


def manifest(num_train, num_val):
    return manifest_of(dataset_clip(str(number), "train" if number < num_train else "val") for number in range(num_train + num_val))


@pytest.fixture
def expected():
    """Estimate a training on 20 clips and 6 to validate on, after one of 10 epochs on 10 and 3 took 110 seconds."""
    shelf = Shelf()
    epochs = tuple(
        Epoch(epoch=number, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0) for number in range(10)
    )
    hardware = {"device_name": "a GPU"}
    shelf.write(f"{RUN}train/result.json", train_result("c", "0", epochs=epochs, seconds=110, hardware=hardware))
    shelf.write(f"{DATASET}manifest.json", manifest(10, 3))

    def run(planned, earlier=WHOLE, run_uri=RUN, pace=None, **timed):
        plan = earlier and PlanResult.model_construct(train=earlier, run_uri=run_uri, dataset_uri=DATASET, evaluations=())
        return estimate(planned, weights_result(pace=pace), manifest(20, 6), plan, shelf, **timed)

    return run


def test_twice_the_clips_take_twice_as_long_as_the_champions_training(expected):
    assert expected(WHOLE).line == (
        "to train: at most 10 epochs of 20 clips, about 3 min 40 s: the champion's training took 1 min 50 s for 10 epochs on a GPU"
    )


def test_epochs_and_crops_of_validations_count(expected):
    # 100 clips learned from and 15 looked at took 110 s; now they are 600 and 6 * 15 * 10.
    planned = WHOLE.model_copy(update={"epochs": 30, "validation_crops": 10})
    assert expected(planned).seconds == pytest.approx(110 * (600 + 900 / 3) / (100 + 15 / 3))


@pytest.mark.parametrize(
    ("planned", "earlier", "run_uri"),
    [
        (WHOLE, None, RUN),
        (WHOLE, WHOLE.model_copy(update={"backbone": "bninception"}), RUN),
        (WHOLE, WHOLE, "s3://retake/runs/gone/"),
        # Its seconds are those of its epochs, without the pass of the backbone before them.
        (HEADS, HEADS, RUN),
    ],
)
def test_without_a_training_like_it_the_line_says_who_will_know(planned, earlier, run_uri, expected):
    unknown = expected(planned, earlier, run_uri)
    assert unknown.line.endswith("; `train` says how long it takes after its first batches")
    assert unknown.seconds is None


@pytest.mark.parametrize(
    ("planned", "num_seeds", "seconds"),
    [
        # 1.5 s a clip in 10 epochs of 20; half a second to look at one, in 5 validations of 6 in 10 crops.
        (WHOLE.model_copy(update={"validation_crops": 10}), 1, 10 * 20 * 1.5 + 5 * 60 * 0.5),
        # The backbone sees 10 views of 20 clips and one of 6; each step of heads has 2 seconds left.
        (HEADS, 1, (20 * 10 + 6) * 0.5 + 10 * 20 * 2),
        (HEADS.model_copy(update={"epochs": 4, "batch_size": 5}), 1, (20 * 4 + 6) * 0.5 + 4 * 4 * 2),
        (PROBE, 1, (20 * 10 + 6) * 0.5),
        (WHOLE, 3, 3 * (10 * 20 * 1.5 + 5 * 6 * 0.5)),
        # The backbone sees the same views for all seeds, but for a probe, whose views are all that a seed draws.
        (HEADS, 3, (20 * 10 + 6) * 0.5 + 3 * 10 * 20 * 2),
        (PROBE, 3, 3 * (20 * 10 + 6) * 0.5),
    ],
)
def test_a_timed_batch_tells_more_than_an_earlier_training_and_heads_see_each_view_once(planned, num_seeds, seconds, expected):
    timed = expected(planned, pace=PACE, num_seeds=num_seeds)
    assert timed.seconds == pytest.approx(seconds)
    assert timed.line.endswith(": a batch of 2 took 3 s on a CPU")
    assert ("with 3 seeds, for each" in timed.line) is (num_seeds == 3)


@pytest.mark.parametrize(
    ("planned", "pace", "seconds"),
    [
        # Half a second for a view of a clip: baseline and new network on 20 and 6 clips, a champion on 6, ten crops each.
        (WHOLE, PACE, (2 * 26 + 6) * 10 * 0.5),
        (HEADS, PACE, 26 * 10 * 0.5),
        (WHOLE, None, None),
    ],
)
def test_a_test_shows_each_network_each_clip_unless_they_share_a_frozen_backbone(planned, pace, seconds):
    splits = ["train", "val", "train", "val", "val"]
    assert seconds_to_test(planned, EvaluateOptions(crops=10), splits, weights_result(pace=pace), manifest(20, 6)) == seconds


@pytest.mark.parametrize(("seconds", "asks"), [(None, False), (3600, False), (3601, True)])
def test_only_a_training_of_more_hours_than_allowed_is_a_question(seconds, asks):
    assert question(Estimate("to train", seconds), 1) == ("to train. That is more than 1 h." if asks else "")
