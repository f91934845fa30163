"""Sources are split as asked, and never again; `split.csv` remembers it."""

import csv
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.data.split.split import SplitAssignment, assign_splits, read_drawn, read_split_csv, write_split_csv
from tasks.errors import BadDataset
from tasks.options import SplitOptions
from tasks.store.records.dataset import NO_OBJECT, NOTHING, LabelledClip
from tasks.store.records.record import SplitName
from tasks.store.records.video import Interval
from tests.data.labels.records import video_of

ACTIONS = ["put meat", "put bag", "take meat", "take pan", "move pot", "open bag"]
IDLE = f"{NOTHING} {NO_OBJECT}"
DEFAULT, NO_TEST = SplitOptions(), SplitOptions(test_share=0)
many = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def films(actions, num_films, num_clips):
    names = st.sampled_from([f"source{number:02d}" for number in range(num_films)])
    return st.dictionaries(names, st.lists(st.sampled_from(actions), min_size=1, max_size=num_clips), min_size=1)


sources = films([*ACTIONS, None], 14, 6)
wishes = st.builds(
    SplitOptions, val_share=st.sampled_from([0.05, 0.225, 0.4]), test_share=st.sampled_from([0, 0.2]), split_seed=st.integers(0, 3)
)


@pytest.fixture(scope="session")
def clips_of(make):
    """Clips of sources, given as name to the action of each clip."""

    def run(sources: dict[str, list[str | None]]) -> list[LabelledClip]:
        return [make.labelled(source, action, index) for source, actions in sources.items() for index, action in enumerate(actions)]

    return run


def used(clips: list[LabelledClip], result: SplitAssignment) -> dict[SplitName, list[LabelledClip]]:
    out = {bad.name for bad in result.excluded}
    by_split: dict[SplitName, list[LabelledClip]] = {"train": [], "val": [], "test": []}
    for clip in clips:
        if clip.action and clip.clip.uid not in out:
            by_split[result.split_by_source[clip.source]].append(clip)
    return by_split


def check(clips: list[LabelledClip], kept: dict[str, SplitName], result: SplitAssignment) -> None:
    by_split = used(clips, result)
    assert result.split_by_source.keys() == {clip.source for clip in clips if clip.action}
    assert all(result.split_by_source[source] == split for source, split in kept.items() if source in result.split_by_source)
    for target in ("verb", "noun", "action"):
        taught = {getattr(clip, target) for clip in by_split["train"]}
        assert {getattr(clip, target) for clip in by_split["val"] + by_split["test"]} <= taught
    assert len({clip.action for clip in by_split["train"]}) > 1
    assert by_split["val"]
    for bad in result.excluded:
        (clip,) = (clip for clip in clips if clip.clip.uid == bad.name)
        assert result.split_by_source[clip.source] != "train"
        assert clip.action in bad.reason


def drawn_split(data, clips, known, options, max_kept):
    """The clips' split where some sources are kept in one, or None if there is none."""
    kept = data.draw(st.dictionaries(st.sampled_from(sorted(known)), st.sampled_from(["train", "val", "test"]), max_size=max_kept))
    try:
        return kept, assign_splits(clips, kept, options)
    except BadDataset as error:
        assert str(error).isprintable()
        return kept, None


@many
@given(sources, wishes, st.data())
def test_promises_hold_for_any_data_and_any_kept_sources(clips_of, drawn, options, data):
    clips = clips_of(drawn)
    kept, result = drawn_split(data, clips, drawn, options, 6)
    if result:
        check(clips, kept, result)


@many
@given(sources, sources, wishes)
def test_added_data_moves_nothing_and_a_rerun_is_the_same(clips_of, first, second, options):
    old = clips_of(first)
    try:
        before = assign_splits(old, {}, options)
    except BadDataset:
        return
    assert assign_splits(old, before.remembered, options, before.drawn) == before
    grown = clips_of(second | first)
    after = assign_splits(grown, before.remembered, options, before.drawn)
    check(grown, before.remembered, after)
    back = {bad.name for bad in before.excluded} - {bad.name for bad in after.excluded}
    assert {bad.name for bad in after.excluded} & {clip.clip.uid for clip in old} <= {bad.name for bad in before.excluded}
    assert all(after.split_by_source[clip.source] != "train" for clip in old if clip.clip.uid in back)


@many
@given(sources, wishes, st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(clips_of, drawn, options, random):
    clips = clips_of(drawn)
    shuffled = random.sample(clips, len(clips))
    try:
        result = assign_splits(clips, {}, options)
    except BadDataset as error:
        with pytest.raises(BadDataset) as other:
            assign_splits(shuffled, {}, options)
        assert str(other.value) == str(error)
        return
    assert assign_splits(shuffled, {}, options) == result


@many
# From 12 sources on, test is drawn whatever they show.
@given(films([*ACTIONS, None], 11, 6), wishes)
def test_a_class_of_one_source_is_taught_unless_val_would_be_empty(clips_of, drawn, options):
    clips = clips_of(drawn)
    shown = {source: {action for action in actions if action} for source, actions in drawn.items()}
    elsewhere = {source: set().union(*(own for other, own in shown.items() if other != source)) for source in shown}
    can_be_spared = any(own and own <= elsewhere[source] and len(elsewhere[source]) > 1 for source, own in shown.items())
    try:
        result = assign_splits(clips, {}, options)
    except BadDataset:
        assert not can_be_spared
        return
    if can_be_spared:
        assert result.excluded == ()
    else:
        assert list(result.split_by_source.values()).count("val") == 1


@many
@given(films([*ACTIONS[:3], IDLE, IDLE], 10, 5), wishes, st.data())
def test_no_split_has_only_clips_in_which_nothing_happens(clips_of, drawn, options, data):
    clips = clips_of(drawn)
    _, result = drawn_split(data, clips, drawn, options, 4)
    for split, own in (used(clips, result) if result else {}).items():
        assert any(clip.verb != NOTHING for clip in own) or (split == "test" and not own)


def test_nothing_and_one_action_can_be_told_apart(clips_of):
    result = assign_splits(clips_of({str(number): ["put meat", IDLE] for number in range(5)}), {}, DEFAULT)
    assert result.excluded == ()
    assert Counter(result.split_by_source.values()) == {"train": 4, "val": 1}


@pytest.mark.parametrize(
    "data",
    [
        {"a": ["put meat"], "b": [IDLE, "put meat"], "idle": [IDLE]},
        {"a": ["put meat"], "b": ["put meat"], "idle": [IDLE], "idle 2": [IDLE]},
    ],
)
def test_a_source_in_which_nothing_happens_is_not_all_of_val(clips_of, data):
    assert assign_splits(clips_of(data), {}, DEFAULT).split_by_source == dict.fromkeys(data, "train") | {"a": "val"}


def test_a_kept_test_in_which_nothing_happens_stays_out(clips_of):
    clips = clips_of({"a": ["put meat", IDLE], "b": ["put meat", "take bag"], "c": ["take bag", "put meat"], "idle": [IDLE, IDLE]})
    result = assign_splits(clips, {"idle": "test"}, DEFAULT)
    assert [bad.reason for bad in result.excluded] == ["it is in test, where nothing happens in any clip, so no action could be tested"] * 2
    assert [warning for warning in result.warnings if "stay out" in warning] == [
        "2 clips of test stay out, because nothing happens in any clip there: label an action in them"
    ]


def test_single_clip_sources_meet_the_share_to_the_clip(clips_of):
    clips = clips_of({f"{action} {number}": [action] for action in ACTIONS for number in range(17)})
    by_split = used(clips, assign_splits(clips, {}, NO_TEST))
    assert len(by_split["val"]) == 23
    assert set(Counter(clip.action for clip in by_split["val"]).values()) <= {3, 4}


def test_the_originals_labels_come_out_as_the_original_wished(clips_of, shared):
    """79 train clips of its published counts and its 23 val clips; its own val held nouns that its train lacked."""
    with (shared / "golden" / "original_val_predictions.csv").open(newline="") as file:
        actions = [f"{row['verb']} {row['noun']}" for row in csv.DictReader(file)]
    nouns = ["tray"] * 25 + ["meat"] * 41 + ["bag"] * 9 + ["flour", "potato", "sauce", "tortilla"]
    verbs = (["move"] * 23 + ["put"] * 40 + ["take"] * 16)[::-1]
    actions += [f"{verb} {noun}" for verb, noun in zip(verbs, nouns, strict=True)]
    clips = clips_of({f"{number:03d}": [action] for number, action in enumerate(actions)})
    assert len(clips) == 102
    result = assign_splits(clips, {}, NO_TEST)
    check(clips, {}, result)
    assert Counter(result.split_by_source.values()) == {"train": 79, "val": 23}
    assert (result.excluded, result.warnings) == ((), ())


def test_long_videos_with_classes_of_their_own_still_give_a_val(clips_of):
    clips = clips_of(
        {"a": ["put meat"] * 9 + ["put bag"], "b": ["put meat"] * 5 + ["take pan"] * 3, "c": ["put meat"] * 20 + ["move pot"] * 9}
    )
    result = assign_splits(clips, {}, DEFAULT)
    assert result.split_by_source == {"a": "val", "b": "train", "c": "train"}
    assert [bad.reason for bad in result.excluded] == ["it is in val, and no clip of train shows 'put bag'"]
    assert any("put bag (1)" in warning for warning in result.warnings)


def test_kept_val_clips_of_an_untaught_class_stay_out_until_it_is_taught(clips_of):
    data = {"a": ["put meat", "put bag"], "b": ["put meat", "put bag"], "v": ["put meat", "take pan"]}
    kept: dict[str, SplitName] = {"v": "val"}
    before = assign_splits(clips_of(data), kept, DEFAULT)
    assert len(before.excluded) == 1
    after = assign_splits(clips_of(data | {"new": ["take pan"]}), kept, DEFAULT)
    assert after.split_by_source["new"] == "train"
    assert after.excluded == ()


def test_an_impossible_share_is_told_with_its_numbers(clips_of):
    clips = clips_of({"big": ["put meat"] * 40 + ["take bag"] * 40, "small": ["put meat", "take bag"] * 4, "only": ["move pot"] * 12})
    (warning,) = assign_splits(clips, {}, SplitOptions(val_share=0.4)).warnings
    assert warning.startswith("val has 8 of 100 clips (8.0 %) where 40.0 % was asked for, because")
    assert "8 to 80 clips each" in warning
    assert "2 must be in train, since each has an action that no other source of train has" in warning


def test_a_test_set_that_cannot_be_had_is_told(clips_of):
    clips = clips_of({"a": ["put meat", "take bag"], "b": ["put meat", "take bag"]})
    result = assign_splits(clips, {}, SplitOptions(val_share=0.3, test_share=0.3))
    assert sorted(result.split_by_source.values()) == ["train", "val"]
    assert any("test has 0 of 4 clips" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("data", "kept", "message"),
    [
        ({"a": [None, None]}, {}, "none of 2 clips has a label yet: .*page Label.*'put meat'.*uid,verb,noun"),
        ({}, {}, "none of 0 clips"),
        ({"a": ["put meat"] * 3, "b": ["put meat"]}, {}, "all 4 labelled clips show 'put meat'.*label another"),
        ({"a": [IDLE], "b": [IDLE], "c": [IDLE]}, {}, "all 3 labelled clips show 'nothing'; training needs at least two actions"),
        ({"a": ["put meat", "take bag"]}, {}, "come from one source video. Add at least 1 more .* that shows 'put meat' or 'take bag'"),
        ({"a": ["put meat"], "b": ["take bag"], "c": ["move pot"]}, {}, "each of the 3 sources is needed in train"),
        ({"a": ["put meat", "take bag"], "b": ["put meat"]}, {"a": "val", "b": "val"}, "train has 0 actions because split.csv keeps"),
        ({"a": ["put meat"], "b": ["take bag"]}, {"b": "val"}, "train has 1 action because"),
        ({"a": ["put meat", "take bag"], "b": ["put meat"]}, {"a": "train", "b": "train"}, "val would be empty"),
        (  # No other source can be moved to val: each shows an action that no other shows.
            {"a": ["put meat", IDLE], "b": ["take bag"], "idle": [IDLE]},
            {"a": "train", "b": "train", "idle": "val"},
            r"nothing happens in any clip of val.*1 more source video that shows 'put meat' or 'take bag'",
        ),
    ],
)
def test_clips_that_cannot_train_a_network_are_refused_with_the_remedy(clips_of, data, kept, message):
    with pytest.raises(BadDataset, match=message):
        assign_splits(clips_of(data), kept, DEFAULT)


def ending_in_next(clip):
    around = Interval(start_seconds=23, stop_seconds=25, next_video=video_of("next"))
    return clip.model_copy(update={"clip": clip.clip.model_copy(update={"around": around})})


@pytest.mark.slow
@pytest.mark.parametrize(("split_of_next", "is_out"), [("train", False), ("val", True), (None, False)])
def test_a_clip_that_ends_in_a_video_of_another_split_stays_out_and_teaches_nothing(clips_of, split_of_next, is_out):
    clips = clips_of({"a": ["put meat", "take bag", "move pot"], "b": ["put meat", "take bag", "move pot"]})
    clips[2] = ending_in_next(clips[2])
    next_split = {video_of("next"): split_of_next} if split_of_next else {}
    result = assign_splits(clips, {video_of("a"): "train", video_of("b"): "val", **next_split}, NO_TEST)
    assert {bad.name for bad in result.excluded} == ({clips[2].clip.uid, clips[5].clip.uid} if is_out else set())


@pytest.mark.parametrize("split_of_next", ["train", "val"])
def test_a_new_video_whose_one_clip_ends_in_a_video_with_a_split_follows_that(clips_of, split_of_next):
    clips = clips_of({"a": ["put meat", "take bag"], "b": ["put meat", "take bag"], "c": ["put meat"]})
    clips[4] = ending_in_next(clips[4])
    kept = {video_of("a"): "train", video_of("b"): "val", video_of("next"): split_of_next}
    result = assign_splits(clips, kept, NO_TEST)
    assert result.split_by_source["c"] == split_of_next
    assert result.excluded == ()


def test_clips_that_stay_out_are_counted_by_their_reasons(clips_of):
    clips = clips_of({"a": ["put meat", "take bag", "move pot"], "b": ["put meat", "take bag", "move pot"]})
    clips[2] = ending_in_next(clips[2])
    result = assign_splits(clips, {video_of("a"): "train", video_of("b"): "val", video_of("next"): "val"}, NO_TEST)
    assert [warning for warning in result.warnings if "stay out" in warning] == [
        "1 clip of val or test stay out, because train has none of their actions: move pot (1)",
        "1 clip stay out, because a source column now joins them with videos of another split",
    ]


def test_where_all_clips_contradict_earlier_splits_there_is_a_remedy(clips_of):
    clips = clips_of({"a": ["put meat", "take bag"]})
    clips = list(map(ending_in_next, clips))
    with pytest.raises(BadDataset, match=r"train has 0 actions because split\.csv keeps"):
        assign_splits(clips, {video_of("a"): "train", video_of("next"): "val"}, NO_TEST)


def test_thousands_of_sources_take_seconds(clips_of):
    clips = clips_of({f"{number:05d}": [ACTIONS[number % 6], ACTIONS[number % 5]] for number in range(4000)})
    start = time.process_time()
    result = assign_splits(clips, {}, SplitOptions(test_share=0.1))
    assert time.process_time() - start < 4
    sizes = {split: len(own) for split, own in used(clips, result).items()}
    assert sizes["val"] == pytest.approx(8000 * 23 / 102, abs=3)
    assert sizes["test"] == pytest.approx(800, abs=3)


@pytest.mark.parametrize(
    ("num_films", "options", "num_test"),
    [(11, DEFAULT, 0), (12, DEFAULT, 2), (30, DEFAULT, 4), (30, NO_TEST, 0), (30, SplitOptions(test_share=0.3), 9)],
)
def test_from_twelve_sources_on_test_is_drawn_whatever_films_show(clips_of, num_films, options, num_test):
    """Of films with an action of their own as many are drawn as of films that are alike, and the same ones."""
    names = [f"film {number}" for number in range(num_films)]
    alike, unlike = ({name: ["put meat", own, "take bag"] for name in names} for own in ("move pot", None))
    owned = {name: ["put meat", f"move pot{name.removeprefix('film ')}", "take bag"] for name in names}
    results = [assign_splits(clips_of(data), {}, options) for data in (alike, unlike, owned)]
    drawn = [{source for source, split in result.split_by_source.items() if split == "test"} for result in results]
    assert len(drawn[0]) == num_test
    assert drawn[0] == drawn[1] == drawn[2]
    assert all(len(result.drawn) == num_test for result in results)
    longer = {name: ["put meat", "take bag"] * (9 if name in drawn[0] else 1) for name in names}
    assert not any("test has" in warning for warning in assign_splits(clips_of(longer), {}, options).warnings), "a share of videos"
    assert {result.test_share for result in results} == {options.test_share if options.test_share is not None else 0.15 * (num_test > 0)}
    assert sum(bad.reason.startswith("it is in test") for bad in results[2].excluded) == num_test


def test_an_old_store_deals_new_videos_alone_to_test_and_remembers_which_were_drawn(clips_of, make):
    data = {f"film {number}": ["put meat", "take bag"] for number in range(20)}
    before = assign_splits(clips_of(data), {}, NO_TEST)
    unchanged = assign_splits(clips_of(data), before.remembered, DEFAULT)
    assert (unchanged.split_by_source, unchanged.test_share, unchanged.drawn) == (before.split_by_source, 0, frozenset())
    kept = before.remembered | {"film 0": "test", make.clip("film 0").video: "test"}
    grown = clips_of(data | {f"new {number}": ["put meat", "move pot"] for number in range(9)})
    after = assign_splits(grown, kept, DEFAULT)
    in_test = {source for source, split in after.split_by_source.items() if split == "test"}
    assert {"film 0"} < in_test < {"film 0", *(f"new {number}" for number in range(9))}
    assert after.drawn == {make.clip(source).video for source in in_test - {"film 0"}}
    written = write_split_csv(kept, after.remembered, after.drawn)
    assert read_drawn(written) == after.drawn
    assert read_drawn(write_split_csv(kept, {})) == frozenset()
    assert assign_splits(grown, read_split_csv(written), DEFAULT, read_drawn(written)) == after


def test_of_new_videos_a_part_is_drawn_until_test_has_its_share(clips_of):
    """Else test would be the newest videos, and a weekly training would learn from none of them."""
    data = {f"film {number}": ["put meat", "take bag"] for number in range(30)}
    before = assign_splits(clips_of(data), {}, NO_TEST).remembered
    new = {f"new {number}": ["put meat", "take bag"] for number in range(40)}
    num_drawn, num_weekly = [], []
    for seed in range(40):
        options = SplitOptions(split_seed=seed)
        num_drawn.append(len(assign_splits(clips_of(data | dict(list(new.items())[:5])), before, options).drawn))
        if seed % 8 == 0:
            kept, drawn = before, frozenset[str]()
            for week in range(1, 41):
                after = assign_splits(clips_of(data | dict(list(new.items())[:week])), kept, options, drawn)
                kept, drawn = after.remembered, after.drawn
            num_weekly.append(len(drawn))
    assert 0.8 <= sum(num_drawn) / 40 <= 1.8, num_drawn
    assert num_drawn.count(5) <= 1
    assert all(6 <= number <= 10 for number in num_weekly), num_weekly


def test_new_videos_of_which_a_model_chose_clips_go_to_train_unless_val_would_fall_short(clips_of, make):
    data = {f"film {number}": ["put meat", "take bag"] for number in range(20)}
    before = assign_splits(clips_of(data), {}, DEFAULT)
    measured = [source for source, split in before.split_by_source.items() if split != "train"]
    chosen = [make.clip(source).video for source in measured]
    assert {assign_splits(clips_of(data), {}, DEFAULT, chosen=chosen).split_by_source[source] for source in measured} == {"train"}
    assert assign_splits(clips_of(data), before.remembered, DEFAULT, before.drawn, chosen) == before
    everything = [make.clip(source).video for source in data]
    assert assign_splits(clips_of(data), {}, NO_TEST, chosen=everything) == assign_splits(clips_of(data), {}, NO_TEST)
    grown = data | {f"new {number}": ["put meat", "move pot"] for number in range(20)}
    new = [make.clip(source).video for source in grown.keys() - data.keys()]
    alone = assign_splits(clips_of(grown), before.remembered, NO_TEST, chosen=new)
    assert alone == assign_splits(clips_of(grown), before.remembered, NO_TEST), "val would have no clip that shows what is new"


def test_no_test_is_drawn_where_train_and_val_would_not_be_left(clips_of):
    """Val can have a film of the only action of two films alone, and some seeds draw that."""
    clips = clips_of({f"film {number}": [f"move pot{number}"] for number in range(12)} | {"other": ["move pot1"]})
    results = [assign_splits(clips, {}, SplitOptions(split_seed=seed)) for seed in range(10)]
    assert {len(result.drawn) for result in results} == {0, 2}
    assert all("val" in result.split_by_source.values() for result in results)


def test_old_lines_keep_their_order_and_new_ones_follow_sorted():
    kept = read_split_csv(b"source,split\nz,val\na,train\n")
    written = write_split_csv(kept, {"a": "train", "z": "val", "kitchen, 2": "test", "b": "train"})
    assert written == b'source,split\nz,val\na,train\nb,train\n"kitchen, 2",test\n'
    assert list(read_split_csv(written)) == ["z", "a", "b", "kitchen, 2"]
    assert write_split_csv(read_split_csv(written), {}) == written


def test_a_file_that_excel_saved_is_read():
    assert read_split_csv("\ufeffsource;split\r\nz;val\r\n".encode()) == {"z": "val"}
    assert read_split_csv(b"source,split\n") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "split.csv is empty"),
        (b"video,split\na,val\n", "not a known header"),
        (b"source,split\na,val\nb,vall\n", "line 3: 'b' has the split 'vall'; write one of train, val, test"),
        (b"source,split\na,val\nb,\n", "line 3: 'b' has the split ''"),
        (b"source,split\na,val\nb;val\n", "line 3 has one cell where the header has 2"),
        (b"source,split\n,val\n", "line 2: ''"),
        (b"source,split\na,val\na,train\n", "line 3 repeats 'a'"),
    ],
)
def test_a_damaged_file_is_refused_by_line(content, message):
    with pytest.raises(BadDataset, match=message):
        read_split_csv(content)
