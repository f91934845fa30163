import io

import pytest
from PIL import Image

from tasks.judge.report.figures.histograms import histograms
from tasks.store.records.dataset import NO_OBJECT, ClassRef, DatasetClip, Manifest, Vocabulary
from tests.records import some

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
