"""A manifest has the clips that count, its CSVs their labels, and its counts agree with them."""

import random
from types import SimpleNamespace
from typing import Annotated

import pytest
from pydantic import create_model

from tasks.data.split.manifest import (
    build_manifest,
    class_counts,
    dataset_digest,
    label_counts,
    num_classes,
    num_clips,
    num_sources,
    split_csv,
    split_sizes,
)
from tasks.data.split.split import assign_splits
from tasks.options import LabelOptions, SegmentOptions, SplitOptions, data
from tasks.store.records.dataset import LabelsFile, Manifest
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.records import some

ROWS = "uid,verb,noun\n" + "".join(f"{n}.mp4,put,meat\n{n}b.mp4,take,bag\n" for n in range(4)) + "long.mp4,open,pan\n"
OPTIONS = SplitOptions()


@pytest.fixture(scope="module")
def labels(label):
    videos = {f"{n}{end}.mp4": 1 for n in range(4) for end in ("", "b")} | {"long.mp4": 3, "unlabelled.mp4": 2}
    result = label(videos, {"labels.csv": ROWS})
    return some(LabelsFile, vocabulary=result.vocabulary, clips=result.clips)


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
    assert [(clip.split, clip.source, clip.action) for clip in manifest.unseen] == [("val", long, "open pan")] * 3
    assert dataset_digest(manifest.model_copy(update={"unseen": None, "drawn": None})) == dataset_digest(manifest)
    assert "pan" not in {clip.noun for clip in manifest.clips}
    assert [ref.name for ref in manifest.vocabulary.nouns] == ["bag", "meat"]


def test_digest_does_not_depend_on_order_but_on_content(labels, manifest):
    shuffled = labels.model_copy(update={"clips": tuple(random.sample(labels.clips, len(labels.clips)))})
    again = build_manifest(shuffled, assign_splits(shuffled.clips, {}, OPTIONS), OPTIONS)
    assert dataset_digest(again) == dataset_digest(manifest)
    first = manifest.clips[0].model_copy(update={"sha256": "0" * 64})
    assert dataset_digest(manifest.model_copy(update={"clips": (first, *manifest.clips[1:])})) != dataset_digest(manifest)


def test_a_dataset_keeps_the_name_that_stores_know_it_by():
    assert dataset_digest(some(Manifest, segment=SegmentOptions(), label=LabelOptions(), split=OPTIONS)) == "9328b5fc055485d6"


@pytest.mark.parametrize("name", ["segment", "label", "split"])
def test_a_new_option_at_its_default_makes_no_new_dataset(manifest, name):
    options = getattr(manifest, name)
    later = create_model("Later", __base__=type(options), later_option=(int, 3))
    made = create_model("LaterManifest", __base__=Manifest, **{name: (Annotated[later, name, *Manifest.model_fields[name].metadata], ...)})
    default, other = (made(**dict(manifest) | {name: later(**options.model_dump(), **chosen)}) for chosen in ({}, {"later_option": 4}))
    assert dataset_digest(default) == dataset_digest(manifest) != dataset_digest(other)


def test_notes_on_labels_are_read_once_and_make_no_new_dataset(labels, manifest):
    """Further columns of annotation files can be remarks; who corrects a typo there wants no new training."""

    class Once(tuple):
        __slots__ = ()
        num_reads = 0

        def __iter__(self):
            Once.num_reads += 1
            return super().__iter__()

        __contains__ = None

    first = labels.clips[0].model_copy(update={"groups": (("comment", "shakey"),)})
    uids = (clip.clip.uid for clip in labels.clips)
    noted = labels.model_copy(update={"clips": (first, *labels.clips[1:]), "accepted": Once(uids), "chosen": Once([first.clip.video])})
    again = build_manifest(noted, assign_splits(labels.clips, {}, OPTIONS), OPTIONS)
    assert (len(again.accepted), len(again.chosen), sum(bool(clip.groups) for clip in again.clips)) == (len(manifest.clips), 1, 1)
    assert Once.num_reads == 2
    assert dataset_digest(again) == dataset_digest(manifest)


def test_a_test_that_nobody_chose_is_in_the_digest_only_where_videos_are_in_test(labels, monkeypatch):
    """A store without test keeps its digests, and one that draws names the share."""
    none, drawn = (
        build_manifest(labels, assign_splits(labels.clips, kept, OPTIONS), OPTIONS) for kept in ({}, {labels.clips[0].source: "test"})
    )
    explicit = build_manifest(labels, assign_splits(labels.clips, {}, SplitOptions(test_share=0.0)), SplitOptions(test_share=0.0))
    assert dataset_digest(none) == dataset_digest(explicit)
    assert (none.split.test_share, none.drawn, drawn.drawn) == (0.0, (), ())
    monkeypatch.setattr(data, "MIN_SOURCES_OF_DRAW", 9)
    with_test = build_manifest(labels, assign_splits(labels.clips, {}, OPTIONS), OPTIONS)
    assert with_test.split.test_share == 0.15
    assert len(with_test.drawn) == num_sources(with_test)["test"] > 0


def test_csv_has_the_originals_header_and_labels_the_same_clips_again(label, labels, manifest):
    train, val = split_csv(manifest, "train"), split_csv(manifest, "val")
    assert train.splitlines()[0] == b"uid,verb,noun,action,verb_class,noun_class"
    assert len(train.splitlines()) + len(val.splitlines()) == 13
    assert split_csv(manifest, "test") == b"uid,verb,noun,action,verb_class,noun_class\n"
    names = {name: sum(clip.names == (name,) for clip in labels.clips) for clip in labels.clips for name in clip.names}
    again = label(names, {"train.csv": train, "val.csv": val})
    assert again.problems == ()
    assert {c.clip.uid: c.action for c in again.clips} == {c.clip.uid: c.action for c in labels.clips}


def clip(split, source="a", verb="put", noun="bag", **classes):
    words = {"verb": verb, "noun": noun, "action": f"{verb} {noun}"}
    return SimpleNamespace(split=split, source=source, **words, **{"verb_class": 0, "noun_class": 20, "has_action": True} | classes)


def test_clips_are_counted_by_target_split_and_class_the_commonest_first():
    clips = [clip("train", "b"), clip("train", verb="take"), clip("train", verb="take", noun="meat"), clip("val")]
    counts = label_counts(clips, TARGETS)
    assert [f"{c.target} {c.split}: {c.name} {c.num_clips}" for c in counts] == [
        *("verb train: take 2", "verb train: put 1", "verb val: put 1", "noun train: bag 2", "noun train: meat 1", "noun val: bag 1"),
        *("action train: put bag 1", "action train: take bag 1", "action train: take meat 1", "action val: put bag 1"),
    ]
    assert [c.num_sources for c in counts[:4]] == [1, 1, 1, 2]
    assert label_counts(clips, VERB_ALONE) == counts[:3]
    assert label_counts([], TARGETS) == ()


def numbers(split, **counts):
    return {"split": split, **{f"num_{name}": number for name, number in counts.items()}}


def test_split_sizes_count_what_a_split_has_and_clips_in_which_nothing_happens_apart():
    clips = [clip("val"), clip("train", "b"), clip("train", "c", noun_class=26), clip("train", "c", verb_class=1)]
    train, val = split_sizes(clips)
    assert train.model_dump() == numbers("train", clips=3, sources=2, verbs=2, nouns=2, actions=3)
    assert (val.split, val.num_clips) == ("val", 1)
    idle = {"verb_class": 125, "noun_class": 352, "has_action": False}
    (train,) = split_sizes([clip("train"), clip("train", "b", **idle), clip("train", "b", **idle)])
    assert train.model_dump() == numbers("train", clips=3, sources=2, verbs=1, nouns=1, actions=1, nothing=2)
