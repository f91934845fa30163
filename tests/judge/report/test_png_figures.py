import io

import numpy as np
import pytest
from PIL import Image

from tasks.judge.report import png_figures
from tasks.judge.report.png_figures import GAP, clip_loss_figure, confusion_figure, contact_sheet, histograms, spectrogram_sheet
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.mistakes import confusion_of
from tasks.store.records.dataset import NO_OBJECT, ClassRef, DatasetClip, Manifest, Vocabulary
from tests.records import some

HOSTILE = Vocabulary(verbs=(ClassRef(id=0, name=r"$\frac{"),), nouns=(ClassRef(id=0, name="x" * 300),))


def size(png):
    with Image.open(io.BytesIO(png)) as image:
        image.verify()
        return image.size


@pytest.mark.parametrize("num_classes", [1, 40])
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

    drawn = draw(0)
    assert drawn == draw(0)
    assert drawn.isdisjoint(draw(1))
    assert not any(b"Software" in png for png in drawn)


def test_a_picture_is_the_one_that_matplotlib_saves(make_clips, vocabulary, monkeypatch):
    def saved(figure):
        figure.savefig(buffer := io.BytesIO(), format="png", metadata={"Software": None})
        return buffer.getvalue()

    clips = make_clips(30, classes=8)
    drawn = clip_loss_figure(clips, vocabulary, "val")
    monkeypatch.setattr(png_figures, "png", saved)
    assert clip_loss_figure(clips, vocabulary, "val") == drawn


def test_names_are_drawn_as_they_are_and_never_as_formulas(make_clips):
    clips = make_clips(12, classes=1, skill=9)
    width, _ = size(confusion_figure(confusion_of(answers_of(clips, HOSTILE)["action"]), r"$\frac{"))
    assert width < 1500
    size(clip_loss_figure(clips, HOSTILE, r"$\frac{"))


OF_VERBS = Vocabulary(verbs=(), nouns=(ClassRef(id=352, name=NO_OBJECT),))


def drawn(num_verbs, *splits, vocabulary=OF_VERBS):
    """The histograms of three clips a verb, in these splits by turns."""
    clips = tuple(
        some(DatasetClip, split=splits[number % len(splits)], verb=f"do:{number % num_verbs}$", verb_class=number % num_verbs)
        for number in range(num_verbs * 3)
    )
    return histograms(some(Manifest, vocabulary=vocabulary, clips=clips))


def test_pictures_have_the_same_bytes_each_time_and_without_objects_there_is_one_of_verbs():
    pictures = drawn(4, "train", "val", vocabulary=Vocabulary(verbs=(), nouns=()))
    assert list(pictures) == ["verb", "noun", "action"]
    assert {"verb": pictures["verb"]} == drawn(4, "train", "val")
    assert all("Software" not in Image.open(io.BytesIO(data)).info for data in pictures.values())


@pytest.mark.slow
def test_more_classes_make_it_taller_up_to_a_limit_and_test_makes_it_wider():
    few, many, more = (Image.open(io.BytesIO(drawn(n, "train", "val")["verb"])).size for n in (4, 20, 70))
    wide = Image.open(io.BytesIO(drawn(20, "train", "val", "test")["verb"])).size
    assert few[1] < many[1] < more[1] < 1800
    assert wide[0] > many[0]
    assert wide[1] == many[1]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 256, 456), (4 * 160 + 3 * GAP, 2 * 90 + GAP)),
        ((3, 256, 456), (3 * 160 + 2 * GAP, 90)),
        ((1, 456, 256), (160, 285)),
        ((25, 90, 160), (8 * 160 + 7 * GAP, 4 * 90 + 3 * GAP)),
        ((8, 20, 30), (4 * 30 + 3 * GAP, 2 * 20 + GAP)),
    ],
)
def test_a_sheet_has_small_frames_in_rows(shape, size):
    sheet = Image.open(io.BytesIO(contact_sheet(np.zeros((*shape, 3), np.uint8))))
    assert (sheet.format, sheet.size) == ("JPEG", size)


def test_frames_are_in_reading_order():
    frames = np.stack([np.full((90, 160, 3), 30 * i, np.uint8) for i in range(8)])
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(frames))).convert("L")).astype(int)
    centres = [sheet[45 + 92 * row, 80 + 162 * column] for row in range(2) for column in range(4)]
    assert np.abs(np.array(centres) - 30 * np.arange(8)).max() <= 2


def test_a_spectrogram_has_low_notes_at_the_bottom_and_grows_brighter():
    levels = np.zeros((800, 128), np.uint8)
    levels[400:, :64] = 200
    image = Image.open(io.BytesIO(spectrogram_sheet(levels)))
    assert (image.format, image.size) == ("PNG", (640, 128))
    grey = np.asarray(image.convert("L")).astype(int)
    assert grey[100, 600] > 100
    assert max(grey[20, 600], grey[100, 40], grey[20, 40]) < 10
