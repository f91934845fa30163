from types import SimpleNamespace

from tasks.evaluation.labels import label_counts
from tasks.results.record import TARGETS, VERB_ALONE


def clip(split, verb, noun):
    return SimpleNamespace(split=split, verb=verb, noun=noun, action=f"{verb} {noun}")


def test_clips_are_counted_by_target_split_and_class_the_commonest_first():
    clips = [clip("train", "put", "bag"), clip("train", "take", "bag"), clip("train", "take", "meat"), clip("val", "put", "bag")]
    counts = label_counts(clips, TARGETS)
    assert [(c.target, c.split, c.name, c.num_clips) for c in counts] == [
        ("verb", "train", "take", 2),
        ("verb", "train", "put", 1),
        ("verb", "val", "put", 1),
        ("noun", "train", "bag", 2),
        ("noun", "train", "meat", 1),
        ("noun", "val", "bag", 1),
        ("action", "train", "put bag", 1),
        ("action", "train", "take bag", 1),
        ("action", "train", "take meat", 1),
        ("action", "val", "put bag", 1),
    ]
    assert label_counts(clips, VERB_ALONE) == counts[:3]


def test_without_clips_nothing_is_counted():
    assert label_counts([], TARGETS) == ()
