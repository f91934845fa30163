"""What `plan` says of the time that a training takes."""

import logging

import pytest

from tasks.options import LabelOptions, SegmentOptions, SplitOptions, TrainOptions
from tasks.results.dataset import DatasetClip, Manifest, Vocabulary
from tasks.results.training import Epoch, PlanResult
from tasks.steps._estimate import log_expected_time
from tests.steps.shelf import Shelf, train_result

RUN, DATASET = "s3://retake/runs/old/", "s3://retake/datasets/old/"
WHOLE = TrainOptions(backbone="resnet50", epochs=10, validate_every=2)


def manifest(num_train, num_val):
    return Manifest(
        recipe="r",
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=Vocabulary(verbs=(), nouns=()),
        clips=tuple(
            DatasetClip(
                uid=str(number), split="train" if number < num_train else "val", source="s", names=("a.mp4",), video="v", uri="s3://retake/c.mp4",
                sha256="0", start_seconds=0, stop_seconds=8, num_frames=240, width=340, height=256, verb="put", noun="meat", verb_class=1,
                noun_class=26, origin="folder",
            )
            for number in range(num_train + num_val)
        ),
        excluded=(),
        warnings=(),
    )  # fmt: skip


@pytest.fixture
def said(caplog):
    """The line of a plan on 20 clips and 6 to validate on, after a training of 10 epochs on 10 and 3 took 110 seconds."""
    shelf = Shelf()
    epochs = tuple(
        Epoch(epoch=number, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0) for number in range(10)
    )
    hardware = {"device_name": "a GPU"}
    shelf.write(
        f"{RUN}train/result.json", train_result("c", "0").model_copy(update={"epochs": epochs, "seconds": 110, "hardware": hardware})
    )
    shelf.write(f"{DATASET}manifest.json", manifest(10, 3))

    def run(planned, earlier=WHOLE, run_uri=RUN):
        plan = earlier and PlanResult.model_construct(train=earlier, run_uri=run_uri, dataset_uri=DATASET)
        with caplog.at_level(logging.INFO):
            log_expected_time(planned, manifest(20, 6), plan, shelf)
        (line,) = [record.getMessage() for record in caplog.records]
        return line

    return run


def test_twice_the_clips_take_twice_as_long_as_the_champions_training(said):
    assert said(WHOLE) == (
        "to train: at most 10 epochs of 20 clips, about 4 min at the pace of the champion's training, which took 110.00 s on a GPU"
    )


def test_epochs_and_crops_of_validations_count(said):
    # 100 clips learned from and 15 looked at took 110 s; now they are 600 and 6 * 15 * 10.
    planned = WHOLE.model_copy(update={"epochs": 30, "validation_crops": 10})
    assert f"about {round(110 * (600 + 900 / 3) / (100 + 15 / 3) / 60)} min" in said(planned)


@pytest.mark.parametrize(
    ("earlier", "run_uri"),
    [(None, RUN), (WHOLE.model_copy(update={"backbone": "bninception"}), RUN), (WHOLE, "s3://retake/runs/gone/")],
)
def test_without_a_training_like_it_the_line_says_who_will_know(earlier, run_uri, said):
    assert said(WHOLE, earlier, run_uri).endswith("see `train`, which says how long it takes after its first batches")


def test_heads_wait_for_the_backbone_once(said):
    assert said(WHOLE.model_copy(update={"trainable": "heads"})) == (
        "to train: at most 10 epochs of 20 clips, of the heads alone, once the backbone has seen each clip"
    )
