"""A recording is in one split, however its videos come in; where it was dealt to two, every video keeps its place."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tasks.data.split.manifest import build_manifest, dataset_digest, shared_in_words, shared_recordings, unlabelled_clips
from tasks.data.split.split import assign_splits, keep_places
from tasks.errors import BadDataset
from tasks.options import LabelOptions, SegmentOptions, SplitOptions
from tasks.store.records.dataset import LabelsFile, Recording, Vocabulary
from tests.records import some

ACTIONS = ["put meat", "put bag", "take meat", "take pan"]
OPTIONS = SplitOptions()


@pytest.fixture(scope="session")
def labels(make):
    """Labels of recordings (name to the action of each of its files), whose clips have the first file as their source."""

    def run(recordings: dict[str, list[str]]) -> LabelsFile:
        clips, made = [], []
        for name, actions in recordings.items():
            own = [make.labelled(f"{name}-{number}", action) for number, action in enumerate(actions)]
            videos = tuple(clip.clip.video for clip in own)
            clips += [clip.model_copy(update={"source": videos[0]}) for clip in own]
            if len(videos) > 1:
                made.append(Recording(name=name, videos=videos, files=videos, reason=""))
        return some(
            LabelsFile,
            segment=SegmentOptions(),
            options=LabelOptions(),
            vocabulary=Vocabulary(verbs=(), nouns=()),
            clips=tuple(clips),
            recordings=tuple(made),
        )

    return run


def dealt(labels, kept):
    """Deal as the steps do."""
    own = keep_places(labels, kept)
    return own, assign_splits(own.clips, kept, OPTIONS)


names = st.sampled_from([f"recording {number}" for number in range(8)])
recordings = st.dictionaries(names, st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4), min_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(recordings, min_size=1, max_size=3))
def test_no_recording_is_in_two_splits_for_any_set_of_new_videos(labels, arrivals):
    known, kept = dict[str, list[str]](), {}
    for new in arrivals:
        known = {name: known.get(name, []) + new.get(name, []) for name in known | new}
        try:
            own, assignment = dealt(labels(known), kept)
        except BadDataset:
            assume(False)
        for recording in own.recordings:
            assert len({assignment.split_by_video[video] for video in recording.videos}) == 1
        assert shared_recordings(own, assignment) == ()
        kept |= assignment.remembered


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(recordings, recordings, st.randoms(use_true_random=False))
def test_videos_that_were_dealt_apart_keep_their_places_and_cost_no_clip(labels, first, more, random):
    """Each file was a source of its own when the store was dealt."""
    whole = labels(first)
    kept = {clip.clip.video: random.choice(["train", "train", "val"]) for clip in whole.clips}
    grown = labels({name: first.get(name, []) + more.get(name, []) for name in first | more})
    try:
        own, assignment = dealt(grown, kept)
    except BadDataset:
        assume(False)
    assert {video: assignment.split_by_video[video] for video in kept} == kept
    assert not [bad for bad in assignment.excluded if "no clip changes its split" in bad.reason]
    for recording in own.recordings:
        old = {kept[video] for video in recording.videos if video in kept}
        new = {assignment.split_by_video[video] for video in recording.videos if video not in kept}
        assert len(old) < 2 or new <= {"train"}
    again, repeated = dealt(grown, kept | assignment.remembered)
    assert (again.clips, repeated.split_by_video) == (own.clips, assignment.split_by_video)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, st.lists(st.sampled_from([*ACTIONS, None]), min_size=1, max_size=4), min_size=4), st.data())
def test_unlabelled_clips_are_of_no_recording_in_val_or_test(labels, recordings, data):
    all_labels = labels(recordings)
    videos = st.sampled_from(sorted({clip.clip.video for clip in all_labels.clips}))
    kept = data.draw(st.dictionaries(videos, st.sampled_from(["train", "val", "test"])))
    uncut = data.draw(st.sets(videos))
    all_labels = all_labels.model_copy(update={"clips": tuple(clip for clip in all_labels.clips if clip.clip.video not in uncut)})
    held_out = {
        name
        for recording in [*all_labels.recordings]
        if {kept.get(video) for video in recording.videos} & {"val", "test"}
        for name in recording.videos
    }
    held_out |= {video for video, split in kept.items() if split != "train"}
    assert unlabelled_clips(all_labels, kept, []) == [
        clip.clip for clip in all_labels.clips if clip.action is None and clip.clip.video not in held_out
    ]


def test_clips_of_recordings_that_train_has_too_are_counted_and_make_no_new_dataset(labels, make):
    whole = labels({"a": ["put meat", "put meat", "put meat"], "b": ["take bag", "take bag"], "c": ["take bag"]})
    kept = {
        make.clip(f"{name}-{number}").video: split
        for (name, number), split in {("a", 0): "train", ("a", 1): "val", ("b", 0): "train"}.items()
    }
    own, assignment = dealt(whole, kept | {make.clip("c-0").video: "val"})
    assert shared_in_words(shared_recordings(own, assignment)) == ("1 clip of val comes from recordings that train has, too: a (1)",)
    manifest = build_manifest(own, assignment, OPTIONS)
    assert [(shared.name, shared.split, shared.num_clips) for shared in manifest.shared_recordings] == [("a", "val", 1)]
    assert dataset_digest(manifest.model_copy(update={"shared_recordings": ()})) == dataset_digest(manifest)
    assert len({clip.source for clip in manifest.clips}) == 4


def test_clips_of_test_whose_recording_val_has_are_counted_and_new_files_of_it_go_to_val(labels, make):
    """Val chooses epochs and thresholds that test judges."""
    whole = labels({"a": ["put meat", "put meat", "put meat"], "b": ["put meat"], "c": ["take bag"], "d": ["take bag"]})
    kept = {
        make.clip(f"{name}-{number}").video: split
        for (name, number), split in {("a", 0): "val", ("a", 1): "test", ("b", 0): "train", ("c", 0): "train", ("d", 0): "val"}.items()
    }
    own, assignment = dealt(whole, kept)
    assert assignment.split_by_video[make.clip("a-2").video] == "val"
    shared = shared_recordings(own, assignment)
    assert [(recording.name, recording.split, recording.num_clips) for recording in shared] == [("a", "test", 1)]
    assert shared_in_words(shared) == ("1 clip of test comes from recordings that train or val has, too: a (1)",)
