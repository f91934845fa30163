from types import SimpleNamespace

from tasks.data.split.statistics import label_counts, split_sizes
from tasks.store.records.record import TARGETS, VERB_ALONE


def clip(split, verb, noun, source="a"):
    return SimpleNamespace(split=split, source=source, verb=verb, noun=noun, action=f"{verb} {noun}")


def test_clips_are_counted_by_target_split_and_class_the_commonest_first():
    clips = [clip("train", "put", "bag", "b"), clip("train", "take", "bag"), clip("train", "take", "meat"), clip("val", "put", "bag")]
    counts = label_counts(clips, TARGETS)
    assert [f"{c.target} {c.split}: {c.name} {c.num_clips}" for c in counts] == [
        *("verb train: take 2", "verb train: put 1", "verb val: put 1", "noun train: bag 2", "noun train: meat 1", "noun val: bag 1"),
        *("action train: put bag 1", "action train: take bag 1", "action train: take meat 1", "action val: put bag 1"),
    ]
    assert [c.num_sources for c in counts[:4]] == [1, 1, 1, 2]
    assert label_counts(clips, VERB_ALONE) == counts[:3]
    assert label_counts([], TARGETS) == ()


def sized(split, source="a", verb_class=0, noun_class=20, has_action=True):
    return SimpleNamespace(split=split, source=source, verb_class=verb_class, noun_class=noun_class, has_action=has_action)


def numbers(split, **counts):
    return {"split": split, **{f"num_{name}": number for name, number in counts.items()}}


def test_split_sizes_count_what_a_split_has_and_clips_in_which_nothing_happens_apart():
    clips = [sized("val"), sized("train", "b"), sized("train", "c", noun_class=26), sized("train", "c", verb_class=1)]
    train, val = split_sizes(clips)
    assert train.model_dump() == numbers("train", clips=3, sources=2, verbs=2, nouns=2, actions=3)
    assert (val.split, val.num_clips) == ("val", 1)
    idle = {"verb_class": 125, "noun_class": 352, "has_action": False}
    (train,) = split_sizes([sized("train"), sized("train", "b", **idle), sized("train", "b", **idle)])
    assert train.model_dump() == numbers("train", clips=3, sources=2, verbs=1, nouns=1, actions=1, nothing=2)
