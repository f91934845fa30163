"""EPIC-KITCHENS, ActivityNet, HACS, Kinetics, FiftyOne, and lists."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.formats.video_datasets import ENTRY

EPIC_55 = "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
EPIC_100 = "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
VERBS_100 = "id,key,instances,category\n0,take,\"['take', 'grab', 'pick-up']\",retrieve\n50,zest,\"['zest', 'rasp']\",split\n"
PUT_MEAT = (["put meat"], [])


def epic_55(uid, start, stop, verb, verb_class, noun, noun_class):
    return f"{uid},P01,P01_01,x,{start},{stop},1,2,{verb},{verb_class},{noun},{noun_class},['{noun}'],[{noun_class}]\n"


def classes(labelling):
    return [(clip.action, clip.verb_class, clip.noun_class) for clip in labelling.clips]


def test_epic_55_by_timestamps_and_class_ids(label):
    lines = [
        epic_55(1, "00:00:00.00", "00:00:08.0", "pick-up", 0, "bag", 20),
        epic_55(2, "00:00:08.00", "00:00:16.00", "wash", 5, "hob:oven", 60),
        epic_55(3, "00:00:16.00", "00:00:24.00", "rinse", 5, "bag", 20),
        epic_55(4, "00:00:30.00", "00:00:31.00", "wash", 5, "oven", 60),
        epic_55(5, "12.5", "00:00:31.00", "wash", 5, "oven", 60),
    ]
    labelling = label({"P01/P01_01.MP4": 3}, {"EPIC_train_action_labels.csv": f"{EPIC_55}\n{''.join(lines)}"})
    # Id 0 is known as take; of the names of an unknown id the most frequent is its class's.
    assert classes(labelling) == [("take bag", 0, 20), ("wash hob:oven", 5, 60), ("wash bag", 5, 20)]
    assert "is not a time like 00:00:01.89" in labelling.problems[-1].reason


def test_epic_55_of_videos_that_were_cut_by_uid(read):
    files = {"epic.csv": f"{EPIC_55}\n{epic_55(77, '00:00:00.00', '00:00:08.0', 'put', 1, 'meat', 26)}"}
    assert read(files, {"77.mp4": 1}) == PUT_MEAT
    assert read(files, {"77.mp4": 1, "P01_01.mp4": 1}) == ([None, "put meat"], [])


def epic_100(verb, verb_class, noun, noun_class, start="00:00:00.00", stop="00:00:08.00"):
    shown = f"P01_01_2,P01,P01_01,00:00:05.349,{start},{stop},418,569,x"
    return f"{shown},{verb},{verb_class},{noun},{noun_class},\"['{noun}']\",[{noun_class}]\n"


def test_epic_100_has_no_uid_and_ids_of_its_own_and_its_lists_map_names(label):
    later, videos = ("00:00:08.00", "00:00:16.00"), {"P01_01.MP4": 2}
    lines = epic_100("close", 4, "bag", 30) + epic_100("take", 0, "tap", 0, *later)
    assert classes(label(videos, {"EPIC_100_train.csv": f"{EPIC_100}\n{lines}"})) == [("close bag", 3, 20), ("take tap", 0, 352)]
    lines = epic_100("pick-up", 0, "bag", 3) + epic_100("rasp", 50, "bag", 3, *later)
    listed = label(videos, {"EPIC_100_verb_classes.csv": VERBS_100, "train.csv": f"{EPIC_100}\n{lines}"})
    assert classes(listed) == [("take bag", 0, 20), ("zest bag", 125, 20)]


def test_a_list_of_epic_100_changes_no_name_that_epic_55_has(read, shared):
    lists = {"EPIC_verb_classes.csv": (shared / "epic55" / "EPIC_verb_classes.csv").read_bytes()}
    odd = VERBS_100.replace("'grab'", "'insert', 'grab'")
    files = lists | {"verbs.csv": odd, "train.csv": f"{EPIC_100}\n{epic_100('insert', 0, 'bag', 3)}"}
    assert read(files, {"P01_01.MP4": 1})[0] == ["insert bag"]


def test_hacs_clips_have_negatives(read):
    text = "classname,youtube_id,subset,start,end,label\nWave hands,abc,training,0,8,1\nPut meat,abc,training,8.0,16.0,-1\n"
    refused = ["HACS_clips.csv line 3: is an example of what is not 'Put meat'"]
    assert read({"HACS_clips.csv": text}, {"v_abc.mp4": 2}) == (["wave hands", None], refused)


def test_kinetics_by_the_file_that_was_cut_or_by_the_time(read):
    text = "label,youtube_id,time_start,time_end,split\nplaying guitar,abc,15,25,train\nabseiling,xyz,8,16,train\n,uvw,8,16,test\n"
    actions = ["playing guitar"] * 2 + [None, "abseiling"]
    assert read({"k.csv": text}, {"abc_000015_000025.mp4": 2, "xyz.mp4": 2}) == (actions, ["k.csv line 4: has no label"])


@pytest.mark.parametrize("sign", [" ", ",", "\t"])
def test_a_list_of_paths_and_labels(read, sign):
    first = f"train/x.mp4{sign}0\ntrain/a b.mp4{sign}put meat\ntrain/c.mp4{sign}12\n"
    actions, told = read({"train.txt": first + "train/d.mp4 3\n" * 30 + "nothing\n"}, {"a b.mp4": 1, "c.mp4": 1})
    assert actions == ["put meat", None]
    assert "has the number 12 for its class; write the name of the class" in told[1]
    assert "is not a video and a label" in told[-1]


@pytest.mark.parametrize("sign", ["\u2028", "\u0085"])
def test_a_line_of_a_list_ends_at_its_end_alone(read, sign):
    files = {"train.txt": f"a.mp4 put{sign}meat\r\nb.mp4 take bag\nb.mp4 3\n"}
    refused = ["train.txt line 3: has the number 3 for its class; write the name of the class"]
    assert read(files, {"a.mp4": 1, "b.mp4": 1}) == (["put meat", "take bag"], refused)


@pytest.mark.parametrize("line", ["b.mp4" + " " * 5000 + "x", "b.mp4 " * 2000, "b" * 1_000_000 + ".mp4"], ids=["spaces", "videos", "long"])
def test_a_line_of_a_list_that_is_too_long_is_refused(read, line):
    actions, told = read({"train.txt": "a.mp4 put meat\n" * 30 + line + "\na.mp4 put meat"})
    assert actions == ["put meat"]
    assert "train.txt line 31: has more than 4000 characters; write a video and a label" in told


@given(st.text(alphabet="a .,;\t", max_size=8), st.text(alphabet="a .,;\t", max_size=8))
def test_a_video_ends_at_the_first_ending_that_a_sign_follows(before, after):
    entry = ENTRY.fullmatch(f"v{before}.mp4{after}".strip())
    label = after.lstrip()
    if after[:1] in (",", ";") or (after[:1].isspace() and label[:1] in (",", ";") and label[1:].strip()):
        label = label[1:].lstrip()
    is_read = bool(label.strip()) and after[0] in " ,;\t"
    assert (entry and (entry[1], entry[2])) == ((f"v{before}.mp4", label.rstrip()) if is_read else None)


@pytest.mark.parametrize("repeated", [" ", "	", ".mp4", ".mp4x"])
def test_the_time_of_a_line_is_not_the_square_of_its_length(repeated):
    def seconds_of(line):
        began = time.process_time()
        ENTRY.fullmatch(line)
        return time.process_time() - began

    short, long = (seconds_of("a.mp4" + repeated * number) for number in (1000, 16_000))
    assert long < 64 * max(short, 0.001)


def test_activitynet_and_hacs_segments(read):
    good = {"subset": "training", "duration": "92.17", "url": "x", "annotations": [{"label": "Put meat", "segment": [0, 8.0]}]}
    bad = [{"label": "Wave", "segment": [0]}, {"label": "", "segment": [0, 1]}, {"label": "x", "segment": ["0", "1e999"]}, 7]
    database = {"--0edUL8zmA": good, "b": {"subset": "testing", "duration": 9}, "c": {"annotations": bad}}
    files = {"activity_net.json": json.dumps({"version": "1.3", "taxonomy": [], "database": database})}
    assert read(files, {"v_--0edUL8zmA.mp4": 2, "c.mp4": 1}) == (
        ["put meat", None, None],
        [
            "activity_net.json, video c, annotation 1: segment is not a start and an end",
            "activity_net.json, video c, annotation 2: has no label",
            "activity_net.json, video c, annotation 3: end '1e999' is not a number",
            "activity_net.json, video c, annotation 4: annotation is not an object",
        ],
    )


@pytest.mark.parametrize("times", [{"support": [241, 480]}, {"timestamps": [8, 16]}])
def test_fiftyone_counts_frames_from_one_and_includes_the_last(read, times):
    labels = {"classes": ["take bag", "put meat"], "labels": {"a": [{"label": 1, "confidence": 0.9, **times}], "b": None}}
    assert read({"labels.json": json.dumps(labels)}, {"x/a.mp4": 3}, min_overlap=1) == ([None, "put meat", None], [])


def test_fiftyones_odd_labels_are_named(read):
    given = [{"label": 2, "support": [1, 2]}, {"label": "wave", "support": [0, 2]}, {"label": 0}, {"label": True, "support": [1, 2]}]
    _, told = read({"labels.json": json.dumps({"classes": ["wave"], "labels": {"a": given, "z": given[:1]}})})
    assert [reason.partition(": ")[2] for reason in told[:4]] == [
        "label 2 is in no list of classes",
        "begins at frame 0, but frames count from 1",
        "has no support",
        "label 'True' is not a number",
    ]
    assert "'z' matches no ingested video" in told[4]
