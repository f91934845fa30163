import numpy as np
import pytest

from tasks.evaluation.prediction.agreement import Tally
from tasks.evaluation.prediction.names import Names
from tasks.evaluation.prediction.probabilities import distributions
from tasks.results.dataset import ClassRef, Vocabulary
from tasks.results.prediction import KnownLabel

NAMES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"}, 352)


def said(*pairs):
    """Networks that are sure of one verb and noun a clip."""
    verbs, nouns = np.zeros((len(pairs), 125), np.float32), np.zeros((len(pairs), 352), np.float32)
    for i, (verb, noun) in enumerate(pairs):
        verbs[i, verb], nouns[i, noun] = 10, 10
    return distributions(verbs, nouns, 1, 1).ranked()


def add(tally, source, ours, theirs, labels=None):
    uids = [f"{source}-{i}" for i in range(len(ours))]
    ranked = {"model": said(*ours)} | ({"against": said(*theirs)} if theirs else {})
    tally.add(uids, source, ranked, labels or {})
    return uids


def test_shares_are_of_clips_and_pairs_of_those_that_differ():
    tally = Tally(NAMES)
    add(tally, "a", [(0, 20), (0, 20), (1, 26)], [(0, 20), (1, 20), (0, 26)])
    add(tally, "b", [(1, 26)], [(0, 26)])
    shares = {one.target: (one.num_alike, one.num_clips, one.num_sources, one.share) for one in tally.agreements(200)}
    assert shares == {"verb": (1, 4, 2, 0.25), "noun": (4, 4, 2, 1.0), "action": (1, 4, 2, 0.25)}
    assert all(one.interval[0] <= one.share <= one.interval[1] for one in tally.agreements(200))
    assert [(p.model, p.against, p.num_clips) for p in tally.pairs("verb", 5)] == [("put", "take", 2), ("take", "put", 1)]
    assert [(p.model, p.against) for p in tally.pairs("action", 1)] == [("put meat", "take meat")]
    assert (tally.num_differing("verb"), tally.num_differing("noun")) == (3, 0)


def test_one_video_says_nothing_about_another():
    tally = Tally(NAMES)
    add(tally, "a", [(0, 20)] * 9, [(0, 20)] * 9)
    assert tally.agreements(200)[0].interval == (0.0, 1.0)


def test_accuracy_is_of_labelled_clips_alone():
    tally = Tally(NAMES)
    labels = {f"a-{i}": KnownLabel(uid=f"a-{i}", source=f"s{i}", verb_class=0, noun_class=20) for i in range(2)}
    add(tally, "a", [(0, 20), (0, 26), (1, 26)], [(1, 20), (1, 20), (1, 26)], labels)
    found = tally.accuracy(200)
    assert tally.num_labelled == 2
    top1 = {role: {target: m.top1 for target, m in targets.items()} for role, targets in found.items()}
    assert top1 == {"model": {"verb": 1, "noun": 0.5, "action": 0.5}, "against": {"verb": 0, "noun": 1, "action": 0}}
    assert found["model"]["action"].majority_class == "take bag"


def test_without_a_second_network_there_is_no_agreement_and_without_labels_no_accuracy():
    tally = Tally(NAMES)
    add(tally, "a", [(0, 20)], None)
    assert (tally.agreements(200), tally.accuracy(200), tally.num_labelled) == ((), {}, 0)


def test_the_first_vocabulary_that_has_a_name_counts():
    first = Vocabulary(verbs=(ClassRef(id=1, name="lay"),), nouns=())
    second = Vocabulary(verbs=(ClassRef(id=1, name="put"), ClassRef(id=2, name="open")), nouns=(ClassRef(id=26, name="meat"),))
    names = Names.of([first, second], 352)
    assert [names.name("verb", 1), names.name("verb", 2), names.name("noun", 7), names.name("action", 352 + 26)] == [
        "lay",
        "open",
        "noun-7",
        "lay meat",
    ]
    with pytest.raises(AttributeError):
        names.verbs = {}
