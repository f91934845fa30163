import numpy as np
import pytest

from tasks.judge.statistics.answers import action_id
from tasks.predict.agreement import TalliedClip, Tally, confusion_table
from tasks.predict.probabilities import distributions
from tasks.predict.scored_video import Names
from tasks.store.records.dataset import NO_OBJECT, NOTHING, ClassRef, Vocabulary
from tasks.store.records.prediction import KnownLabel
from tasks.store.records.record import TARGETS
from tests.judge.report.tree import csv_rows

NAMES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"})


@pytest.fixture
def tally():
    return Tally(NAMES)


def said(*pairs):
    """Networks that are sure of one verb and noun a clip."""
    verbs, nouns = np.zeros((len(pairs), 125), np.float32), np.zeros((len(pairs), 352), np.float32)
    for i, (verb, noun) in enumerate(pairs):
        verbs[i, verb], nouns[i, noun] = 10, 10
    return distributions(verbs, nouns, 1, 1).ranked()


def add(tally, source, ours, theirs, labels=None, video=None, **flags):
    uids = [f"{video or source}-{i}" for i in range(len(ours))]
    ranked = {"model": said(*ours)} | ({"against": said(*theirs)} if theirs else {})
    clips = [TalliedClip(uid, "film.mp4", 8 * i, 8 * i + 8, i) for i, uid in enumerate(uids)]
    tally.add(clips, source, ranked, labels or {}, **flags)
    return uids


def labelled(video, num_clips):
    """Labels `take bag` of the first clips of a video."""
    return {f"{video}-{i}": KnownLabel(uid=f"{video}-{i}", verb_class=0, noun_class=20) for i in range(num_clips)}


def top1(accuracy):
    return {role: {target: m.top1 for target, m in targets.items()} for role, targets in accuracy.networks.items()}


def test_shares_are_of_clips_and_pairs_of_those_that_differ(tally):
    add(tally, "a", [(0, 20), (0, 20), (1, 26)], [(0, 20), (1, 20), (0, 26)])
    add(tally, "b", [(1, 26)], [(0, 26)])
    shares = {each.target: (each.num_alike, each.num_clips, each.num_sources, each.share) for each in tally.agreements()}
    assert shares == {"verb": (1, 4, 2, 0.25), "noun": (4, 4, 2, 1.0), "action": (1, 4, 2, 0.25)}
    assert all(each.interval[0] <= each.share <= each.interval[1] for each in tally.agreements())
    assert [(p.model, p.against, p.num_clips) for p in tally.pairs("verb", 5)] == [("put", "take", 2), ("take", "put", 1)]
    assert [(p.model, p.against) for p in tally.pairs("action", 1)] == [("put meat", "take meat")]
    assert (tally.num_differing("verb"), tally.num_differing("noun")) == (3, 0)


def test_a_video_in_two_parts_is_one_source_which_says_nothing_about_another(tally):
    for _ in range(2):
        add(tally, "a", [(0, 20)] * 2, [(0, 20)] * 2)
    assert [(each.num_clips, each.num_sources, each.interval) for each in tally.agreements()] == [(4, 1, (0.0, 1.0))] * 3


def test_accuracy_is_of_labelled_clips_alone(tally):
    add(tally, "a", [(0, 20), (0, 26), (1, 26)], [(1, 20), (1, 20), (1, 26)], labelled("a", 2))
    (accuracy,) = tally.accuracies()
    assert tally.num_labelled == 2
    assert (accuracy.num_clips, accuracy.num_sources, accuracy.is_trained_on) == (2, 1, False)
    assert top1(accuracy) == {"model": {"verb": 1, "noun": 0.5, "action": 0.5}, "against": {"verb": 0, "noun": 1, "action": 0}}
    assert accuracy.networks["model"]["action"].majority_class == "take bag"


def test_a_network_that_is_sure_of_wrong_answers_on_several_videos_is_too_sure(tally):
    for video in "abc":
        add(tally, video, [(1, 20)] * 4, None, labelled(video, 4))
    (accuracy,) = tally.accuracies()
    assert {target: share > 0.9 for target, share in accuracy.expected["model"].items()} == dict.fromkeys(TARGETS, True)
    assert [accuracy.is_too_sure("model", target) for target in TARGETS] == [True, False, True]


def test_accuracy_on_clips_of_the_training_stands_apart(tally):
    add(tally, "a", [(0, 20)] * 3, None, labelled("a", 3), is_trained_on=True)
    add(tally, "b", [(1, 20)], None, labelled("b", 1))
    unseen, trained_on = tally.accuracies()
    assert [(each.is_trained_on, each.num_clips, top1(each)["model"]["verb"]) for each in (unseen, trained_on)] == [
        (False, 1, 0),
        (True, 3, 1),
    ]
    assert tally.num_labelled == 4


def test_half_labelled_videos_are_a_source_each_and_files_of_one_recording_are_one(tally):
    for video in "abc":
        add(tally, f"recording-{video}", [(0, 20)] * 4, [(0, 20)] * 4, labelled(video, 2), video=video)
    add(tally, "recording-c", [(0, 20)], [(0, 20)], video="d")
    assert tally.agreements()[0].num_sources == 3
    assert tally.accuracies()[0].num_sources == 3


def test_two_networks_are_measured_on_the_clips_that_both_answered(tally):
    add(tally, "a", [(0, 20), (1, 20)], [(0, 20), (0, 20)], labelled("a", 2))
    add(tally, "b", [(1, 20)] * 3, None, labelled("b", 3))
    (accuracy,) = tally.accuracies()
    assert (accuracy.num_clips, accuracy.num_sources, accuracy.num_left_out, tally.num_labelled) == (2, 1, 3, 5)
    assert {role: targets["verb"] for role, targets in top1(accuracy).items()} == {"model": 0.5, "against": 1}
    assert {m.num_clips for targets in accuracy.networks.values() for m in targets.values()} == {2}
    assert tally.agreements()[0].num_clips == 2


def test_where_the_second_network_answered_no_clip_with_a_label_the_first_is_measured_alone(tally):
    add(tally, "a", [(0, 20)] * 2, [(0, 20)] * 2)
    add(tally, "b", [(0, 20)] * 3, None, labelled("b", 3))
    (accuracy,) = tally.accuracies()
    assert (accuracy.num_clips, accuracy.num_left_out, list(accuracy.networks)) == (3, 0, ["model"])


def test_without_a_second_network_there_is_no_agreement_and_without_labels_no_accuracy(tally):
    add(tally, "a", [(0, 20)], None)
    assert (tally.agreements(), tally.accuracies(), tally.num_labelled) == ((), (), 0)
    assert tally.confusions() == {}


def listed(tally, names=NAMES):
    return csv_rows(confusion_table(tally.named, names))


def test_the_matrix_and_the_table_hold_every_pair_of_names(tally):
    add(tally, "a", [(0, 20), (0, 20), (1, 26), (1, 26)], [(0, 20), (1, 20), (0, 26), (7, 26)])
    confusion = tally.confusions()["verb"]
    assert (confusion.rows, confusion.columns) == (("take", "put", "verb-7"),) * 2
    assert confusion.counts.tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert [(cell.row, cell.column, cell.uids) for cell in confusion.wrong] == [(0, 1, ("a-2",)), (1, 0, ("a-1",)), (2, 1, ("a-3",))]
    assert tally.clip_names(["a-2", "b-0"]) == {"a-2": "film.mp4 0:16\N{EN DASH}0:24"}
    rows = listed(tally)
    assert [sum(int(row["num_clips"]) for row in rows if row["target"] == target) for target in TARGETS] == [4, 4, 4]
    named = {"target": "action", "against": "verb-7 meat", "against_class": "7-26", "model": "put meat", "model_class": "1-26"}
    assert named | {"num_clips": "1"} in rows


def test_names_beyond_thirty_are_added_up_in_the_matrix_alone(tally):
    add(tally, "a", [(0, i) for i in range(40)], [(0, i) for i in range(40)])
    confusion = tally.confusions()["noun"]
    assert (len(confusion.rows), confusion.rows[-1], int(confusion.counts.sum()), int(confusion.counts[-1, -1])) == (
        31,
        "10 others",
        40,
        10,
    )
    assert sum(row["target"] == "noun" for row in listed(tally)) == 40
    assert confusion.wrong == ()
    add(tally, "b", [(0, i % 30) for i in range(60)], [(0, i % 30) for i in range(60)])
    add(tally, "c", [(0, i) for i in range(30, 40)], [(0, i) for i in range(39, 29, -1)])
    (cell,) = tally.confusions()["noun"].wrong
    assert (cell.num_clips, cell.uids[:2]) == (10, ("c-9", "c-8")), "the largest divergence first"


def test_the_first_vocabulary_that_has_a_name_counts():
    first = Vocabulary(verbs=(ClassRef(id=1, name="lay"),), nouns=())
    second = Vocabulary(verbs=(ClassRef(id=1, name="put"), ClassRef(id=2, name="open")), nouns=(ClassRef(id=26, name="meat"),))
    names = Names.of([first, second])
    wanted = (("verb", 1), ("verb", 2), ("noun", 7), ("action", action_id(1, 26)))
    assert [names.name(target, number) for target, number in wanted] == ["lay", "open", "noun-7", "lay meat"]
    with pytest.raises(AttributeError):
        names.verbs = {}


def test_of_verbs_alone_nouns_count_nowhere():
    tally = Tally(NAMES.of_verbs())
    labels = {"a-0": KnownLabel(uid="a-0", verb_class=0, noun_class=26)}
    verbs, nouns = (np.zeros((2, size), np.float32) for size in (125, 1))
    verbs[:, 0] = 10
    ranked = distributions(verbs, nouns, 1, 1).ranked()
    tally.add([TalliedClip(f"a-{i}", "a.mp4", 0, 8) for i in range(2)], "a", {"model": ranked, "against": ranked}, labels)
    assert [(each.target, each.num_alike) for each in tally.agreements()] == [("verb", 2)]
    (accuracy,) = tally.accuracies()
    assert top1(accuracy) == {role: {"verb": 1.0} for role in ("model", "against")}
    assert list(tally.confusions()) == ["verb"]
    (row,) = listed(tally, NAMES.of_verbs())
    assert (row["target"], row["model"], row["num_clips"]) == ("verb", "take", "2")


def test_labels_that_nothing_happens_count_in_no_accuracy_and_are_answered_like_any():
    tally = Tally(Names(NAMES.verbs | {2: NOTHING}, NAMES.nouns | {30: NO_OBJECT}))
    idle = KnownLabel(uid="a-1", verb_class=2, noun_class=30)
    add(tally, "a", [(1, 20), (2, 30)], [(0, 20), (2, 30)], labelled("a", 1) | {"a-1": idle})
    (accuracy,) = tally.accuracies()
    assert (accuracy.num_clips, tally.num_labelled) == (1, 1)
    assert top1(accuracy)["model"] == {"verb": 0.0, "noun": 1.0, "action": 0.0}
    assert next(each for each in tally.agreements() if each.target == "action").num_clips == 2
