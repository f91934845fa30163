"""Clips that are in one of two datasets alone, or labelled or dealt otherwise in them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.loop.difference import change_of, difference, lines_of_difference
from tasks.store.records.status import Difference, DifferentClip, DifferentVideo, DiffResult, SplitChange
from tests.pipeline.shelf import dataset_clip, manifest_of
from tests.records import some

ACTIONS = (("put", "meat"), ("take", "bag"))


def clip(uid, split="train", action=0, **given):
    verb, noun = ACTIONS[action]
    film = uid.partition("_")[0]
    known = {"verb": verb, "noun": noun, "video": film, "names": (f"{film}.mp4",), "source": film}
    return dataset_clip(uid, split, **known | given)


manifests = st.dictionaries(
    st.sampled_from([f"{film}_{number}" for film in "abc" for number in range(3)]),
    st.tuples(st.sampled_from(("train", "val", "test")), st.integers(0, 1)),
).map(lambda clips: manifest_of(clip(uid, *known) for uid, known in clips.items()))


def states(manifest):
    return {clip.uid: (clip.action, clip.split) for clip in manifest.clips}


@settings(max_examples=50)
@given(manifests, manifests)
def test_the_differences_lead_from_one_dataset_to_the_other(before, after):
    lists = difference(before, after)
    old, new = states(before), states(after)
    reached = {uid: state for uid, state in old.items() if uid not in {row.uid for row in lists.clips_removed}}
    reached |= {row.uid: (row.after, new[row.uid][1]) for row in lists.clips_added}
    reached |= {row.uid: (row.after, reached[row.uid][1]) for row in lists.relabelled}
    reached |= {row.uid: (reached[row.uid][0], row.after) for row in lists.moved}
    assert reached == new
    assert {row.uid: row.before for row in (*lists.clips_removed, *lists.relabelled)}.items() <= {uid: old[uid][0] for uid in old}.items()
    assert {split.split: split.after - split.before for split in lists.splits} == {
        split: sum(own == split for _, own in new.values()) - sum(own == split for _, own in old.values())
        for split in ("train", "val", "test")
    }
    films = {uid[0] for uid in new} - {uid[0] for uid in old}
    assert {row.video for row in lists.videos_added} == films
    assert set(lists.classes_added) == {action for action, _ in new.values()} - {action for action, _ in old.values()}


def test_a_row_names_the_film_the_time_and_both_sides():
    before = manifest_of([clip("a_0", start_seconds=8, stop_seconds=16), clip("b_0")])
    after = manifest_of([clip("a_0", "val", 1, start_seconds=8, stop_seconds=16), clip("c_0"), clip("c_1")])
    lists = difference(before, after)
    (relabelled,), (moved,), (removed,) = lists.relabelled, lists.moved, lists.clips_removed
    assert (relabelled.name, relabelled.start_seconds, relabelled.before, relabelled.after) == ("a.mp4", 8, "put meat", "take bag")
    assert (moved.before, moved.after) == ("train", "val")
    assert (removed.before, removed.after) == ("put meat", "")
    assert [(row.name, row.num_clips) for row in lists.videos_added] == [("c.mp4", 2)]
    change = change_of("d1", lists)
    assert (change.num_videos_added, change.num_videos_removed, change.num_clips_added, change.num_clips_removed) == (1, 1, 2, 1)
    assert (change.before, change.num_relabelled, change.num_moved, change.classes_added) == ("d1", 1, 1, ("take bag",))


def test_a_difference_is_listed_whole():
    clip = {"uid": "c", "start_seconds": 8, "stop_seconds": 16}
    lists = some(
        Difference,
        videos_added=(DifferentVideo(name="b.mp4", video="b", num_clips=2),),
        clips_removed=(DifferentClip(name="old.mp4", before="put meat", after="", **clip),),
        relabelled=tuple(DifferentClip(name=f"{number}.mp4", before="put meat", after="take bag", **clip) for number in range(30)),
        splits=(SplitChange(split="train", before=4, after=6),),
    )
    lines = list(lines_of_difference(DiffResult(before="d1", after="d2", difference=lists)))
    assert lines[:3] == ["From dataset d1 to d2; clips: train 4 to 6", "1 video added", "  b.mp4: 2 clips"]
    assert lines[3:5] == ["1 clip removed", "  old.mp4 0:08\N{EN DASH}0:16: put meat"]
    assert len(lines) == 5 + 1 + 30
    assert lines[-1] == "  29.mp4 0:08\N{EN DASH}0:16: put meat to take bag"
