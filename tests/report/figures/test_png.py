import io

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.answers import Answers, answers_of
from tasks.evaluation.confusion import confusion_of
from tasks.report.figures.confusion import confusion_figure
from tasks.report.figures.losses import clip_loss_figure
from tasks.results.dataset import ClassRef, Vocabulary

HOSTILE = Vocabulary(verbs=(ClassRef(id=0, name=r"$\frac{"),), nouns=(ClassRef(id=0, name="x" * 300),))


def size(png):
    with Image.open(io.BytesIO(png)) as image:
        image.verify()
        return image.size


@pytest.mark.parametrize("num_classes", [1, 3, 30, 80])
def test_a_matrix_has_a_cell_for_each_of_its_classes_and_stays_on_a_screen(num_classes):
    ids = np.arange(num_classes)
    answers = Answers("verb", np.repeat(ids, 2), np.concatenate([ids, ids])[:, None], {i: f"class {i}" for i in ids.tolist()})
    width, height = size(confusion_figure(confusion_of(answers), "verbs"))
    assert 500 <= width <= 2000
    assert 300 <= height <= 2000


@pytest.mark.parametrize("num_clips", [1, 200])
def test_losses_can_be_drawn_for_one_clip_and_for_many(make_clips, vocabulary, num_clips):
    width, height = size(clip_loss_figure(make_clips(num_clips, classes=8), vocabulary, "val"))
    assert (width, height) < (1500, 2000)


def test_pictures_tell_different_data_apart(make_clips, vocabulary):
    pictures = {clip_loss_figure(make_clips(seed=seed), vocabulary, "val") for seed in range(2)}
    assert len(pictures) == 2


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes(make_clips, vocabulary):
    def draw():
        clips = make_clips(60)
        return [
            confusion_figure(confusion_of(answers_of(clips, vocabulary)["action"]), "val"),
            clip_loss_figure(clips, vocabulary, "val"),
        ]

    first = draw()
    assert first == draw()
    assert not any(b"Software" in png for png in first)


def test_names_are_drawn_as_they_are_and_never_as_formulas(make_clips):
    clips = make_clips(12, classes=1, skill=9)
    for target in ("verb", "noun", "action"):
        width, _ = size(confusion_figure(confusion_of(answers_of(clips, HOSTILE)[target]), r"$\frac{"))
        assert width < 1500
    size(clip_loss_figure(clips, HOSTILE, r"$\frac{"))
