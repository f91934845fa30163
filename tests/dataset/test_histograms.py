import io

import pytest
from PIL import Image

from tasks.dataset.histograms import histograms
from tasks.options import LabelOptions, SegmentOptions, SplitOptions
from tasks.results.dataset import NO_OBJECT, ClassRef, DatasetClip, Manifest, Vocabulary


@pytest.fixture
def manifest(make):
    def build(num_nouns: int, splits: tuple[str, ...]) -> Manifest:
        clips = []
        for number in range(num_nouns * 3):
            clip = make.clip(str(number)).model_dump(include=set(DatasetClip.model_fields))
            noun = number % num_nouns
            label = {
                "verb": "put",
                "noun": f"thing:{noun}$",
                "verb_class": 1,
                "noun_class": noun,
                "origin": "a.csv:2",
                "names": (),
                "source": "s",
            }
            clips.append(DatasetClip(**clip, **label, split=splits[number % len(splits)]))
        return Manifest(
            recipe="r",
            segment=SegmentOptions(),
            label=LabelOptions(),
            split=SplitOptions(),
            vocabulary=Vocabulary(verbs=(), nouns=()),
            clips=tuple(clips),
            excluded=(),
            warnings=(),
        )

    return build


def test_three_pictures_with_the_same_bytes_each_time(manifest):
    pictures = histograms(manifest(4, ("train", "val")))
    assert list(pictures) == ["verb", "noun", "action"]
    assert pictures == histograms(manifest(4, ("train", "val")))
    assert all("Software" not in Image.open(io.BytesIO(data)).info for data in pictures.values())


def test_without_objects_verbs_alone_are_drawn(manifest):
    of_verbs = Vocabulary(verbs=(), nouns=(ClassRef(id=352, name=NO_OBJECT),))
    assert list(histograms(manifest(1, ("train", "val")).model_copy(update={"vocabulary": of_verbs}))) == ["verb"]


@pytest.mark.slow
def test_more_classes_make_it_taller_up_to_a_limit_and_test_makes_it_wider(manifest):
    few, many, more = (Image.open(io.BytesIO(histograms(manifest(n, ("train", "val")))["noun"])).size for n in (4, 20, 70))
    wide = Image.open(io.BytesIO(histograms(manifest(20, ("train", "val", "test")))["noun"])).size
    assert few[1] < many[1] < more[1] < 1800
    assert wide[0] > many[0]
    assert wide[1] == many[1]
