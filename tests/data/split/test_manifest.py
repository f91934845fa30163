import random

import pytest

from tasks.data.split.manifest import build_manifest, dataset_digest, split_csv
from tasks.data.split.split import assign_splits
from tasks.data.split.statistics import class_counts, num_classes, num_clips, num_sources
from tasks.options import LabelOptions, SegmentOptions, SplitOptions
from tasks.store.records.dataset import LabelsFile
from tests.records import some

ROWS = "uid,verb,noun\n" + "".join(f"{n}.mp4,put,meat\n{n}b.mp4,take,bag\n" for n in range(4)) + "long.mp4,open,pan\n"
OPTIONS = SplitOptions()


@pytest.fixture(scope="module")
def labels(label):
    videos = {f"{n}{end}.mp4": 1 for n in range(4) for end in ("", "b")} | {"long.mp4": 3, "unlabelled.mp4": 2}
    result = label(videos, {"labels.csv": ROWS})
    return some(LabelsFile, segment=SegmentOptions(), options=LabelOptions(), vocabulary=result.vocabulary, clips=result.clips)


@pytest.fixture(scope="module")
def manifest(labels):
    return build_manifest(labels, assign_splits(labels.clips, {}, OPTIONS), OPTIONS)


def test_every_labelled_clip_is_in_it_once_with_its_split(labels, manifest):
    assert [clip.uid for clip in manifest.clips] == sorted(clip.clip.uid for clip in labels.clips if clip.action)
    assert num_clips(manifest) == {"train": 8, "val": 3, "test": 0} or num_clips(manifest) == {"train": 9, "val": 2, "test": 0}
    assert sum(num_sources(manifest).values()) == 9
    assert num_classes(manifest) == {"verb": 3, "noun": 3, "action": 3}
    assert list(class_counts(manifest, "action")) == ["put meat", "take bag", "open pan"]
    assert class_counts(manifest, "verb")["open"] == {"train": 3, "val": 0, "test": 0}


def test_excluded_clips_and_their_classes_stay_out(labels):
    long = next(clip.source for clip in labels.clips if clip.noun == "pan")
    manifest = build_manifest(labels, assign_splits(labels.clips, {long: "val"}, OPTIONS), OPTIONS)
    assert len(manifest.excluded) == 3
    assert "pan" not in {clip.noun for clip in manifest.clips}
    assert [ref.name for ref in manifest.vocabulary.nouns] == ["bag", "meat"]


def test_digest_does_not_depend_on_order_but_on_content(labels, manifest):
    shuffled = labels.model_copy(update={"clips": tuple(random.sample(labels.clips, len(labels.clips)))})
    again = build_manifest(shuffled, assign_splits(shuffled.clips, {}, OPTIONS), OPTIONS)
    assert dataset_digest(again) == dataset_digest(manifest)
    first = manifest.clips[0].model_copy(update={"sha256": "0" * 64})
    assert dataset_digest(manifest.model_copy(update={"clips": (first, *manifest.clips[1:])})) != dataset_digest(manifest)


def test_csv_has_the_originals_header_and_labels_the_same_clips_again(label, labels, manifest):
    train, val = split_csv(manifest, "train"), split_csv(manifest, "val")
    assert train.splitlines()[0] == b"uid,verb,noun,action,verb_class,noun_class"
    assert len(train.splitlines()) + len(val.splitlines()) == 13
    assert split_csv(manifest, "test") == b"uid,verb,noun,action,verb_class,noun_class\n"
    names = {name: sum(clip.names == (name,) for clip in labels.clips) for clip in labels.clips for name in clip.names}
    again = label(names, {"train.csv": train, "val.csv": val})
    assert again.problems == ()
    assert {c.clip.uid: c.action for c in again.clips} == {c.clip.uid: c.action for c in labels.clips}
