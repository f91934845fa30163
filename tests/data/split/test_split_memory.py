"""What split.csv remembers: a video keeps its split whatever people call its source, and a recording lies in one, however its videos come in."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tasks.data.split.manifest import build_manifest, dataset_digest, shared_in_words, shared_recordings, unlabelled_clips
from tasks.data.split.split import SplitAssignment, assign_splits, keep_places, read_split_csv, write_split_csv
from tasks.errors import BadDataset
from tasks.options import SplitOptions
from tasks.store.records.dataset import LabelledClip, LabelsFile, Recording
from tasks.store.records.record import SplitName
from tests.records import some

ACTIONS = ["put meat", "put bag", "take meat", "take pan"]
VIDEOS = [f"video{number}" for number in range(9)]
DAYS = [f"day {number}" for number in range(5)]
many = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])

videos = st.dictionaries(st.sampled_from(VIDEOS), st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4), min_size=2)
wishes = st.builds(SplitOptions, val_share=st.sampled_from([0.2, 0.4]), test_share=st.sampled_from([0, 0.2]))


@pytest.fixture(scope="session")
def name(make):
    """Clips of videos (name to the action of each clip), whose sources are named by `sources`; the others are their own."""

    def run(videos: dict[str, list[str]], sources: dict[str, str]) -> list[LabelledClip]:
        clips = [make.labelled(video, action, index) for video, actions in videos.items() for index, action in enumerate(actions)]
        return [clip.model_copy(update={"source": sources.get(clip.source, clip.clip.video)}) for clip in clips]

    return run


def split_of_used(clips: list[LabelledClip], result: SplitAssignment) -> dict[str, SplitName]:
    """Of every video with clips that are used; each clip has its source's split."""
    out = {bad.name for bad in result.excluded}
    pairs = {(clip.clip.video, result.split_by_source[clip.source]) for clip in clips if clip.clip.uid not in out}
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.slow
@many
@given(st.data(), wishes)
def test_no_used_clip_changes_its_split_however_sources_are_named(name, make, data, options):
    """Names come, go, join, part and change places; one can even be another video's hash. Videos come and lose their labels."""
    known = data.draw(videos)
    names = st.sampled_from([*DAYS, *(make.clip(video).video for video in VIDEOS[:3])])
    content, seen = write_split_csv({}, {}), dict[str, SplitName]()
    for _ in range(3):
        clips = name(data.draw(videos) | known, data.draw(st.dictionaries(st.sampled_from(VIDEOS), names)))
        if data.draw(st.booleans()):
            clips = [clip for clip in clips if clip.clip.video != clips[-1].clip.video]
        kept = read_split_csv(content)
        try:
            result = assign_splits(clips, kept, options)
        except BadDataset:
            continue
        written = write_split_csv(kept, result.remembered)
        assert written.startswith(content)
        assert assign_splits(clips, read_split_csv(written), options) == result
        assert write_split_csv(read_split_csv(written), result.remembered) == written
        now = split_of_used(clips, result)
        assert {video: seen[video] for video in now.keys() & seen.keys()} == {video: now[video] for video in now.keys() & seen.keys()}
        content, seen = written, seen | now


@many
@given(videos, st.dictionaries(st.sampled_from(VIDEOS), st.sampled_from(DAYS)), st.permutations([*DAYS, "Day 0", "Day 1"]), wishes)
def test_a_renaming_that_joins_nothing_costs_no_clip(name, drawn, sources, new_names, options):
    clips = name(drawn, sources)
    try:
        before = assign_splits(clips, {}, options)
    except BadDataset:
        assume(False)
    for renamed in ({video: new_names[DAYS.index(day)] for video, day in sources.items()}, {}):
        other = name(drawn, renamed)
        after = assign_splits(other, read_split_csv(write_split_csv({}, before.remembered)), options)
        assert split_of_used(other, after) == split_of_used(clips, before)
        assert [bad.name for bad in after.excluded] == [bad.name for bad in before.excluded]
        assert len(after.warnings) == len(before.warnings)


def test_one_row_a_source_and_one_a_video_also_in_a_file_that_knew_sources_alone(name, make):
    data, videos = {video: ["put meat", "take bag"] for video in VIDEOS[:4]}, [make.clip(video).video for video in VIDEOS[:4]]
    remembered = assign_splits(name(data, dict.fromkeys(VIDEOS[:2], "day")), {}, SplitOptions()).remembered
    assert remembered.keys() == {"day", *videos}
    assert {remembered[video] for video in videos[:2]} == {remembered["day"]}
    clips = name({video: data[video] for video in VIDEOS[:2]}, {VIDEOS[0]: "day 0", VIDEOS[1]: "day 1"})
    kept = read_split_csv(b"source,split\nday 0,val\nday 1,train\n")
    assert assign_splits(clips, kept, SplitOptions()).remembered == kept | {videos[0]: "val", videos[1]: "train"}


def test_a_video_new_in_a_known_source_goes_where_that_is_and_stays_there(name, make):
    data = {video: ["put meat", "take bag"] for video in VIDEOS[:3]}
    kept: dict[str, SplitName] = {"day": "val", make.clip(VIDEOS[1]).video: "train"}
    joined = assign_splits(name(data, {VIDEOS[0]: "day"}), kept, SplitOptions())
    assert joined.split_by_video[make.clip(VIDEOS[0]).video] == "val"
    alone = assign_splits(name(data, {}), kept | joined.remembered, SplitOptions())
    assert alone.split_by_video == joined.split_by_video


def test_a_video_that_stays_out_comes_back_to_its_own_split_with_a_source_of_its_own(name, make):
    data = {video: ["put meat", "take bag"] for video in VIDEOS[:3]}
    first, second = (make.clip(video).video for video in VIDEOS[:2])
    kept: dict[str, SplitName] = {first: "train", second: "val"}
    joined = assign_splits(name(data, dict.fromkeys(VIDEOS[:2], "day")), kept, SplitOptions())
    reason = "its video is in val, its source 'day' is in train, and no clip changes its split: give the video another source"
    assert {bad.reason for bad in joined.excluded} == {reason}
    assert any("2 clips stay out" in warning for warning in joined.warnings)
    parted = assign_splits(name(data, {VIDEOS[0]: "day"}), kept | joined.remembered, SplitOptions())
    assert parted.split_by_source[second] == "val"
    assert parted.excluded == ()


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
        return some(LabelsFile, clips=tuple(clips), recordings=tuple(made))

    return run


@pytest.fixture(scope="session")
def kept_in(make):
    """The splits that the first files of recordings have."""

    def run(**splits: str) -> dict[str, SplitName]:
        return {make.clip(f"{name}-{n}").video: split for name, own in splits.items() for n, split in enumerate(own.split())}

    return run


def dealt(labels, kept):
    """Deal as the steps do."""
    own = keep_places(labels, kept)
    return own, assign_splits(own.clips, kept, SplitOptions())


names = st.sampled_from([f"recording {number}" for number in range(8)])
recordings = st.dictionaries(names, st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4), min_size=4)


@many
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


@many
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


@many
@given(st.dictionaries(names, st.lists(st.sampled_from([*ACTIONS, None]), min_size=1, max_size=4), min_size=4), st.data())
def test_unlabelled_clips_are_of_no_recording_in_val_or_test(labels, recordings, data):
    all_labels = labels(recordings)
    videos = st.sampled_from(sorted({clip.clip.video for clip in all_labels.clips}))
    kept = data.draw(st.dictionaries(videos, st.sampled_from(["train", "val", "test"])))
    uncut = data.draw(st.sets(videos))
    all_labels = all_labels.model_copy(update={"clips": tuple(clip for clip in all_labels.clips if clip.clip.video not in uncut)})
    held_out = {video for video, split in kept.items() if split != "train"}
    held_out |= {video for recording in all_labels.recordings if held_out.intersection(recording.videos) for video in recording.videos}
    assert unlabelled_clips(all_labels, kept, []) == [
        clip.clip for clip in all_labels.clips if clip.action is None and clip.clip.video not in held_out
    ]


def test_clips_of_recordings_that_train_has_too_are_counted_and_make_no_new_dataset(labels, kept_in):
    whole = labels({"a": ["put meat", "put meat", "put meat"], "b": ["take bag", "take bag"], "c": ["take bag"]})
    own, assignment = dealt(whole, kept_in(a="train val", b="train", c="val"))
    assert shared_in_words(shared_recordings(own, assignment)) == ("1 clip of val comes from recordings that train has, too: a (1)",)
    manifest = build_manifest(own, assignment, SplitOptions())
    assert [(shared.name, shared.split, shared.num_clips) for shared in manifest.shared_recordings] == [("a", "val", 1)]
    assert dataset_digest(manifest.model_copy(update={"shared_recordings": ()})) == dataset_digest(manifest)
    assert len({clip.source for clip in manifest.clips}) == 4


def test_clips_of_test_whose_recording_val_has_are_counted_and_new_files_of_it_go_to_val(labels, kept_in, make):
    """Val chooses epochs and thresholds that test judges."""
    whole = labels({"a": ["put meat", "put meat", "put meat"], "b": ["put meat"], "c": ["take bag"], "d": ["take bag"]})
    own, assignment = dealt(whole, kept_in(a="val test", b="train", c="train", d="val"))
    assert assignment.split_by_video[make.clip("a-2").video] == "val"
    shared = shared_recordings(own, assignment)
    assert [(recording.name, recording.split, recording.num_clips) for recording in shared] == [("a", "test", 1)]
    assert shared_in_words(shared) == ("1 clip of test comes from recordings that train or val has, too: a (1)",)
