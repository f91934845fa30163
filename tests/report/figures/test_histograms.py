import io

import pytest
from PIL import Image

from tasks.report.figures.histograms import histograms
from tasks.results.dataset import NO_OBJECT, ClassRef, DatasetClip, Manifest, Vocabulary
from tests.records import some


def manifest(num_nouns: int, *splits: str) -> Manifest:
    clips = (
        some(
            DatasetClip,
            uid=str(number),
            split=splits[number % len(splits)],
            verb="put",
            noun=f"thing:{number % num_nouns}$",
            noun_class=number % num_nouns,
        )
        for number in range(num_nouns * 3)
    )
    return some(Manifest, vocabulary=Vocabulary(verbs=(), nouns=()), clips=tuple(clips))


def test_three_pictures_with_the_same_bytes_each_time():
    pictures = histograms(manifest(4, "train", "val"))
    assert list(pictures) == ["verb", "noun", "action"]
    assert pictures == histograms(manifest(4, "train", "val"))
    assert all("Software" not in Image.open(io.BytesIO(data)).info for data in pictures.values())


def test_without_objects_verbs_alone_are_drawn():
    of_verbs = Vocabulary(verbs=(), nouns=(ClassRef(id=352, name=NO_OBJECT),))
    assert list(histograms(manifest(1, "train", "val").model_copy(update={"vocabulary": of_verbs}))) == ["verb"]


@pytest.mark.slow
def test_more_classes_make_it_taller_up_to_a_limit_and_test_makes_it_wider():
    few, many, more = (Image.open(io.BytesIO(histograms(manifest(n, "train", "val"))["noun"])).size for n in (4, 20, 70))
    wide = Image.open(io.BytesIO(histograms(manifest(20, "train", "val", "test"))["noun"])).size
    assert few[1] < many[1] < more[1] < 1800
    assert wide[0] > many[0]
    assert wide[1] == many[1]
