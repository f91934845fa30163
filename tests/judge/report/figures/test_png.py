import io

import numpy as np
import pytest
from PIL import Image

from tasks.judge.report.figures.confusion import confusion_figure
from tasks.judge.report.figures.losses import clip_loss_figure
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.confusion import confusion_of
from tasks.store.records.dataset import ClassRef, Vocabulary

HOSTILE = Vocabulary(verbs=(ClassRef(id=0, name=r"$\frac{"),), nouns=(ClassRef(id=0, name="x" * 300),))


def size(png):
    with Image.open(io.BytesIO(png)) as image:
        image.verify()
        return image.size


@pytest.mark.parametrize("num_classes", [1, 80])
def test_a_matrix_has_a_cell_for_each_of_its_classes_and_stays_on_a_screen(num_classes):
    ids = np.arange(num_classes)
    answers = Answers("verb", np.repeat(ids, 2), np.concatenate([ids, ids])[:, None], {i: f"class {i}" for i in ids.tolist()})
    width, height = size(confusion_figure(confusion_of(answers), "verbs"))
    assert 500 <= width <= 2000
    assert 300 <= height <= 2000


@pytest.mark.parametrize("num_clips", [1, 100])
def test_losses_can_be_drawn_for_one_clip_and_for_many(make_clips, vocabulary, num_clips):
    width, height = size(clip_loss_figure(make_clips(num_clips, classes=8), vocabulary, "val"))
    assert (width, height) < (1500, 2000)


def test_the_same_data_give_the_same_bytes_and_others_do_not(make_clips, vocabulary):
    def draw(seed):
        clips = make_clips(8, seed=seed)
        matrix = confusion_figure(confusion_of(answers_of(clips, vocabulary)["verb"]), "val")
        return {matrix, clip_loss_figure(clips, vocabulary, "val")}

    pictures = draw(0)
    assert pictures == draw(0)
    assert pictures.isdisjoint(draw(1))
    assert not any(b"Software" in png for png in pictures)


def test_names_are_drawn_as_they_are_and_never_as_formulas(make_clips):
    clips = make_clips(12, classes=1, skill=9)
    width, _ = size(confusion_figure(confusion_of(answers_of(clips, HOSTILE)["action"]), r"$\frac{"))
    assert width < 1500
    size(clip_loss_figure(clips, HOSTILE, r"$\frac{"))
