import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.clips.stored_clips import clip_uid
from tasks.data.labels.csv_rows import MAX_GROUP_COLUMNS, MAX_GROUP_LENGTH
from tasks.data.split.split import assign_splits
from tasks.options import SplitOptions
from tasks.store.records.dataset import Problem
from tests.data.labels.records import INTERVALS, actions
from tests.data.split.test_split import check

ANNOTATIONS = "uid,verb,noun,action,verb_class,noun_class\n"
PUT_MEAT = "put,meat,put meat,1,26"


def reasons(labelling) -> dict[int | None, str]:
    return {problem.line: problem.reason for problem in labelling.problems}


@pytest.mark.parametrize("uid", ["day/put_meat1.mp4", "day/put_meat1", "put_meat1.mp4", "put_meat1", "PUT_meat1.MP4", "day\\put_meat1.mp4"])
def test_a_video_is_known_by_path_or_name_with_or_without_extension(label, uid):
    result = label({"day/put_meat1.mp4": 2, "other.mp4": 1}, {"a.csv": f"{ANNOTATIONS}{uid},{PUT_MEAT}\n"})
    assert actions(result) == ["put meat", "put meat", None]
    assert result.clips[0].origin == "a.csv:2"
    assert (result.clips[0].verb_class, result.clips[0].noun_class) == (1, 26)
    assert result.problems == ()


def test_a_line_for_a_clip_goes_before_one_for_its_video(label, make):
    rows = f"{make.clip('a.mp4', 1).uid},take,bag,,,\n{make.clip('a.mp4').video},{PUT_MEAT}\n"
    assert actions(label({"a.mp4": 3}, {"a.csv": ANNOTATIONS + rows})) == ["put meat", "take bag", "put meat"]


@pytest.mark.parametrize("interval", ["000012000-000016000", "000008000-000012000", "0001"])
def test_a_uid_of_another_cutting_labels_nothing(label, make, interval):
    uid = f"{make.clip('a.mp4').uid.split('_')[0]}_{interval}"
    result = label({"a.mp4": 3}, {"a.csv": f"{ANNOTATIONS}{uid},{PUT_MEAT}\n"})
    assert actions(result) == [None] * 3
    assert "is not a clip of 'a.mp4' under the current cutting options; label that time by video,start_seconds" in reasons(result)[2]
    stranger = label({"b.mp4": 1}, {"a.csv": f"{ANNOTATIONS}{uid},{PUT_MEAT}\n"})
    assert "matches no ingested video" in reasons(stranger)[2]


def test_uids_tell_the_interval_and_sort_by_time():
    uids = [clip_uid("0123456789abcdef", start, stop) for start, stop in ((0, 8), (8, 29 / 3), (36_000, 36_000.5), (604_800, 604_802))]
    assert uids[1] == "0123456789ab_000008000-000009667"
    assert sorted(uids) == uids
    assert len({len(uid) for uid in uids}) == 1


def test_real_kitchen_labels_fit_their_videos(label, shared):
    folder = shared / "videos" / "kitchen"
    result = label({path.name: 1 for path in sorted(folder.glob("*.mp4"))}, {"labels.csv": (folder / "labels.csv").read_bytes()})
    assert result.problems == ()
    assert all(clip.names[0].startswith(f"{clip.verb}_{clip.noun}") for clip in result.clips)
    assert [(ref.id, ref.name) for ref in result.vocabulary.nouns] == [(1, "pan"), (15, "pot"), (29, "container")]
    split = assign_splits(result.clips, {}, SplitOptions())
    check(result.clips, {}, split)
    assert (list(split.split_by_source.values()).count("val"), split.excluded) == (2, ())


def test_epic_lists_among_the_files_bring_names_and_synonyms(label, shared):
    lists = {path.name: path.read_bytes() for path in sorted((shared / "epic55").glob("EPIC_*_classes.csv"))}
    rows = f"{ANNOTATIONS}a,grab,wok,grab wok,,\nb,wash,board:chopping,,,\nc,do,tray,,51,\nd,do,Nothing,,,\n"
    result = label(dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "d.mp4"], 1), {"labels.csv": rows, **lists})
    assert result.problems == ()
    assert actions(result) == ["take pan", "wash board:chopping", "finish tray", "do nothing"]
    assert [clip.verb_class for clip in result.clips] == [0, 4, 51, 92]


def test_ids_of_a_later_file_serve_and_correct_an_earlier_one_and_contradictions_are_refused(label):
    rows = "b,put,tray,,,63\nc,put,tray,,,64\nd,put,flour,,,63\n"
    files = {"a.csv": f"{ANNOTATIONS}b,put,tray,,,64\na,put,tray,,,\n", "b.csv": f"{ANNOTATIONS}{rows}"}
    result = label(dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "d.mp4"], 1), files)
    assert actions(result) == ["put tray", "put tray", None, None]
    assert {clip.noun_class for clip in result.clips if clip.noun} == {63}
    assert [(problem.file, problem.line) for problem in result.problems] == [("a.csv", 2), ("b.csv", 3), ("b.csv", 4)]
    told = reasons(result)
    assert ["is 63 (b.csv line 2), not 64" in told[line] for line in (2, 3)] == [True, True]
    assert "63 is 'tray'" in told[4]


def test_lines_that_nobody_has_filled_in_yet_and_no_files_leave_clips_as_they_are(label):
    result = label({"a.mp4": 1, "b.mp4": 1}, {"to_label.csv": f"{ANNOTATIONS}a,,,,,\nb,{PUT_MEAT}\n"})
    assert (actions(result), result.problems) == ([None, "put meat"], ())
    result = label({"a.mp4": 2})
    assert (actions(result), result.problems, result.changes, result.vocabulary.verbs) == ([None, None], (), (), ())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,put,meat,take meat,1,26", "action 'take meat' contradicts"),
        ("a,put,meat,,2,26", "verb_class of 'put' is 1, not 2"),
        ("a,put,meat,,125,26", "verb_class 125 is beyond EPIC-KITCHENS-55's and not the id of 'put'.*leave the cell empty"),
        ("a,put,,,1,26", "noun is empty, but noun_class 26 is a noun's id"),
        ("a,put,,put meat,,", "action 'put meat' contradicts verb 'put' and no noun"),
        ("a,put,meat,,1,-1", "noun_class '-1'"),
        ("a,put,meat,,one,26", "verb_class 'one'"),
        ("a,,meat,,,", "verb is empty"),
        (",put,meat,,,", "uid is empty"),
        *((f"{uid},put,meat,,,", "matches no ingested video") for uid in ("zz.mp4", "=HYPERLINK(1)", "../../etc/passwd")),
        ("short,put,meat,,,", "has no clips"),
        ("kitchen-1.mp4,put,meat,,,", r"matches no ingested video.*\(near: 'kitchen_1.mp4'"),
        ("twin,put,meat,,,", "matches 2 videos: 'l1/twin.mp4', 'r1/twin.mp4'"),
        ("a,=cmd(),meat,,1,", "verb '=cmd.*is not a name"),
        ("a,put,../meat,,,5", "noun '../meat'.*is not a name"),
        ("a,put," + "m" * 9000 + ",,,5", "noun 'mmm.*…'.*is longer than 64 characters"),
        ("a,put," + "м" * 65 + ",,,", "is longer than 64 characters"),
        ("x" * 9000 + ",put,meat,,,", "uid 'xxx"),
    ],
)
def test_a_refused_line_names_file_line_and_reason_and_the_rest_goes_on(label, row, reason):
    videos = dict.fromkeys(["a.mp4", "b.mp4", "kitchen_1.mp4", "l1/twin.mp4", "r1/twin.mp4"], 1) | {"short.mp4": 0}
    result = label(videos, {"x.csv": f"{ANNOTATIONS}{row}\nb,{PUT_MEAT}\n"})
    assert actions(result)[1] == "put meat"
    assert actions(result).count(None) == 4
    (problem,) = result.problems
    assert (problem.file, problem.line) == ("x.csv", 2)
    assert re.search(reason, problem.reason)
    assert len(problem.reason) < 500
    assert problem.reason.isprintable()


def test_lines_about_one_video_that_contradict_are_both_refused_and_a_repeat_once(label):
    rows = f"a.mp4,{PUT_MEAT}\na,take,meat,,,\nb,{PUT_MEAT}\nb.mp4,{PUT_MEAT}\n"
    result = label({"a.mp4": 1, "b.mp4": 1}, {"x.csv": ANNOTATIONS + rows})
    assert actions(result) == [None, "put meat"]
    told = reasons(result)
    assert told.keys() == {2, 3, 5}
    assert "take meat on line 3; neither is used" in told[2]
    assert "already has this label on line 4" in told[5]


def test_lines_about_one_clip_that_contradict_leave_the_label_of_its_video(label, make):
    uid = make.clip("a.mp4", 1).uid
    result = label({"a.mp4": 2}, {"x.csv": f"{ANNOTATIONS}{uid},take,bag,,,\n{uid},open,pan,,,\na,{PUT_MEAT}\n"})
    assert actions(result) == ["put meat", "put meat"]
    assert reasons(result).keys() == {2, 3}


@pytest.mark.parametrize("earlier", ["old.csv", "new.csv"])
def test_a_later_file_wins_whatever_its_name_and_the_change_is_told_once(label, earlier):
    files = [(earlier, f"{ANNOTATIONS}a,{PUT_MEAT}\nb,{PUT_MEAT}\n"), ("new.csv", f"{ANNOTATIONS}b,{PUT_MEAT}\na,take,bag,,,\n")]
    result = label({"a.mp4": 3, "b.mp4": 1}, files)
    assert actions(result) == ["take bag"] * 3 + ["put meat"]
    assert result.changes == (Problem(file="new.csv", line=3, reason=f"put meat ({earlier}:2) -> take bag on 3 clips"),)


def test_files_add_up_and_folders_are_the_weakest(label):
    files = {"a.csv": f"{INTERVALS}long.mp4,0,0:08,take,bag\n"}
    result = label({"put meat/long.mp4": 2, "put/short.mp4": 1, "open_pan/x.mp4": 1}, files)
    assert actions(result) == ["take bag", "put meat", "put", "open pan"]
    (change,) = result.changes
    assert (change.file, change.line) == ("a.csv", 2)
    assert "put meat (folder put meat) -> take bag" in change.reason
    assert result.problems == ()


def test_a_noun_from_a_file_completes_a_folders_verb_without_a_change(label):
    result = label({"put/a.mp4": 1}, {"a.csv": f"{ANNOTATIONS}a,{PUT_MEAT}\n"})
    assert actions(result) == ["put meat"]
    assert (result.problems, result.changes) == ((), ())


def test_clips_without_a_label_are_told_once_a_folder(label):
    videos = {f"day 1/{number}.mp4": 2 for number in range(30)} | {"\x1b[31m/c.mp4": 1, "a.mp4": 3, "long.mp4": 3, "put meat/b.mp4": 1}
    result = label(videos, {"x.csv": f"{INTERVALS}long,0,8,put,meat\n"})
    assert {item.name: item.reason for item in result.left_out} == {
        "day 1/": "60 clips of 30 videos: has a digit in its name, so it is not a label",
        "\ufffd[31m/": "1 clip of 1 video: has a digit in its name, so it is not a label",
        "videos in no folder": "3 clips of 'a.mp4'",
        "partly labelled videos": "2 clips of 1 video: no line of an annotation file covers enough of them",
    }


def test_one_video_in_folders_of_two_labels_has_none(label):
    result = label({"put meat/a.mp4|take bag/a.mp4": 1})
    assert actions(result) == [None]
    assert "folders with different labels: 'put meat', 'take bag'" in result.left_out[0].reason
    mended = label({"put meat/a.mp4|take bag/a.mp4": 1}, {"a.csv": f"{ANNOTATIONS}a,{PUT_MEAT}\n"})
    assert actions(mended) == ["put meat"]
    assert mended.left_out == ()


def test_intervals_label_clips_by_overlap(label):
    rows = "a,0,7,put,meat\na,7,20,take,bag\na,0:22.5,00:00:24,put,meat\nb,1,2,put,meat\na,4000,4001,put,meat\na,5,6,take,bag\na,9,8,put,meat\na,-1,3,put,meat\n"
    result = label({"a.mp4": 3, "b.mp4": 1}, {"x.csv": INTERVALS + rows})
    assert actions(result) == ["put meat", "take bag", "take bag", None]
    told = reasons(result)
    assert told.keys() == {6, 8, 9}
    assert [clip.second_action for clip in result.clips] == ["take bag", None, None, None]
    assert "the last clip of the video ends at 24 s" in told[6]
    assert "not after" in told[8]
    assert "negative" in told[9]


def test_synonyms_add_up_in_one_clip(label):
    files = {
        "verbs.csv": "verb_id,class_key,verbs\n0,take,\"['take', 'grab']\"\n",
        "x.csv": f"{INTERVALS}a,0,2,grab,bag\na,2,5,put,bag\na,5,7,take,bag\n",
    }
    assert actions(label({"a.mp4": 1}, files)) == ["take bag"]


@pytest.mark.parametrize("source", ["=1+1", "\N{FULLWIDTH EQUALS SIGN}1+1", "a;=1+1", "a; \N{FULLWIDTH EQUALS SIGN}1+1"])
def test_a_source_that_a_spreadsheet_takes_for_a_formula_is_refused(label, source):
    result = label({"a.mp4": 1}, {"1.csv": f"uid,verb,noun,source\na,put,meat,{source}\n"})
    assert "is not a source name" in reasons(result)[2]


def test_source_is_the_video_unless_a_column_groups(label, make):
    header = "uid,verb,noun,source\n"
    files = {
        "1.csv": header + "a,put,meat,kitchen 1\nb,put,meat,kitchen 1\nc,put,meat,\nc,put,meat,yard\n",
        "2.csv": ANNOTATIONS + f"b,{PUT_MEAT}\n",
        "3.csv": header + "a,put,meat,kitchen 2\n",
    }
    result = label(dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "d.mp4"], 1), files)
    assert [clip.source for clip in result.clips] == ["kitchen 2", "kitchen 1", "yard", make.clip("d.mp4").video]
    (change,) = result.changes
    assert "'kitchen 1' (1.csv:2) -> 'kitchen 2'" in change.reason


def test_further_columns_are_groups_of_clips_that_a_later_label_leaves_as_they_are(label):
    remark = "r" * (MAX_GROUP_LENGTH + 1)
    header = ",".join(f"column{number}" for number in range(MAX_GROUP_COLUMNS))
    files = {
        "1.csv": f"uid,verb,noun,Camera,recording day,remark,reason\na,put,meat,old <b>,mon,{remark},the model is unsure\nb,put,meat,,tue,,\n",
        "2.csv": f"{INTERVALS[:-1]},camera\na.mp4,0,8,put,meat,new\n",
        "3.csv": f"{ANNOTATIONS}a,{PUT_MEAT}\nc,{PUT_MEAT}\n",
        "4.csv": f"uid,verb,noun,{header},one_more\nd,put,meat,{','.join('x' * (MAX_GROUP_COLUMNS + 1))}\n",
    }
    result = label(dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "d.mp4"], 1), files)
    a, b, c, d = (dict(clip.groups) for clip in result.clips)
    assert (a, b, c) == ({"camera": "new", "recording_day": "mon"}, {"recording_day": "tue"}, {})
    assert list(d) == header.split(",")


def test_clips_of_one_video_cannot_be_given_two_sources(label, make):
    uids = [make.clip("a.mp4", index).uid for index in range(3)]
    result = label({"a.mp4": 3}, {"x.csv": f"uid,verb,noun,source\n{uids[0]},put,meat,one\n{uids[1]},put,meat,two\n"})
    assert {clip.source for clip in result.clips} == {"one"}
    assert "source 'two' is not used" in reasons(result)[3]


def test_very_many_bad_lines_are_cut_short_with_their_number(label):
    result = label({"a.mp4": 1}, {"x.csv": ANNOTATIONS + "nowhere,put,meat,,,\n" * 1500})
    assert len(result.problems) == 1001
    assert result.problems[-1].reason == "and 500 more lines like these"


def test_the_order_of_clips_and_names_does_not_matter(label):
    videos = {f"put meat/{number}.mp4": 2 for number in range(6)} | {"take/x.mp4": 1, "odd/y.mp4": 1}
    files = {"a.csv": f"{ANNOTATIONS}3,take,bag,,,\nnone,put,meat,,,\n"}
    forwards, backwards = label(videos, files), label(dict(reversed(videos.items())), files)
    assert sorted(forwards.clips, key=lambda c: c.clip.uid) == sorted(backwards.clips, key=lambda c: c.clip.uid)
    assert (forwards.problems, forwards.changes, forwards.vocabulary) == (backwards.problems, backwards.changes, backwards.vocabulary)


cells = st.one_of(
    st.sampled_from(["a", "a.mp4", "put", "meat", "1", "26", "0:08", "", '"', "=x", "\0", "put meat", "\u202e"]), st.text(max_size=6)
)
lines = st.lists(st.lists(cells, max_size=8).map(",".join), max_size=8).map("\n".join)


@pytest.mark.slow
@given(st.sampled_from([ANNOTATIONS, INTERVALS, "verb_id,class_key,verbs\n", "noun_id;class_key;nouns\n", ""]), lines)
def test_hostile_text_never_raises_and_never_labels_with_the_unnameable(label, header, body):
    result = label({"a.mp4": 2}, {"x.csv": (header + body).encode("utf-8", "surrogatepass")})
    for clip in result.clips:
        assert clip.action is None or re.fullmatch(r"[^\W_][^\s/\\=;,]*( [^\W_][^\s/\\=;,]*)?", clip.action)
    assert all(problem.reason.isprintable() for problem in result.problems)


def test_nothing_is_a_class_without_object(label):
    files = {"labels.csv": f"{ANNOTATIONS}b,nothing,,,,\nc,nothing,meat,,,\n", "classes.csv": "target,name,same_as\nverb,idle,nothing\n"}
    result = label({"put meat/a.mp4": 1, "b.mp4": 1, "c.mp4": 1, "idle/d.mp4": 1, "nothing/e.mp4": 1}, files)
    assert actions(result) == ["put meat", "nothing", None, "nothing", "nothing"]
    assert reasons(result)[3] == "'nothing' means that nothing happens, so it has no object: leave 'meat' out, or use another verb"
    assert result.vocabulary.nothing_verb == next(verb.id for verb in result.vocabulary.verbs if verb.name == "nothing")
    folder = label({"put meat/a.mp4": 1, "nothing new/b.mp4": 1})
    assert actions(folder) == ["put meat", None]
    assert "leave 'new' out" in folder.left_out[0].reason
