"""Label Studio's exports, with the traps that its users met."""

import json

import pytest

from tasks.data.labels.formats.label_studio import with_frame_rate
from tasks.errors import BadLabels

DATA = {"video": "/data/upload/1/abcd1234-a.mp4"}
PLACE = "project-1.json, task 7, result"
GOOD = (["put meat"], [])


def timeline(start, end, *labels):
    return {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}


def region(start, end, *labels, **more):
    value = timeline(start, end, *labels)
    return {"id": f"{start}", "from_name": "action", "to_name": "video", "type": "timelinelabels", "value": value, **more}


def choice(control, *names, identity="1"):
    return {"id": identity, "from_name": control, "type": "choices", "value": {"choices": list(names)}}


def task(*results, data=DATA, **more):
    return {"id": 7, "data": data, "annotations": [{"id": 1, "was_cancelled": False, "result": list(results), **more}], "predictions": []}


def export(*tasks):
    return {"project-1.json": json.dumps(tasks)}


def project(*results, **more):
    return export(task(*results, **more))


def json_min(*items):
    return {"min.json": json.dumps([{**item, "annotator": 1, "annotation_id": 7} if isinstance(item, dict) else item for item in items])}


def table(fps, delimiter=","):
    """A table with JSON in a cell, and its rate if it states one."""
    cell = json.dumps([timeline(241, 480, "put meat")]).replace('"', '""')
    cells = ["1", "a.mp4", f'"{cell}"', "1", "2", *fps]
    return {"x.csv": "\n".join(map(delimiter.join, (["id", "video", "action", "annotator", "annotation_id", *["fps"] * len(fps)], cells)))}


PUT_MEAT = region(1, 192, "put meat")


def test_frames_count_from_one_at_24_per_second_unless_the_task_states_its_rate(label, read):
    # Frames 193 to 384 are the seconds 8 to 16.
    later = project(region(193, 384, "put meat"))
    assert read(later, 3, min_overlap=1, fps=60) == ([None, "put meat", None], [])
    assert label({"a.mp4": 2}, later).clips[1].origin == f"{PLACE} 1"
    for name in ("fps", "framerate"):
        stated = project(region(241, 480, "put meat"), data={**DATA, name: "30"})
        assert read(stated, 2, min_overlap=1) == ([None, "put meat"], [])
    assert read(project(region(1, 1, "put meat")), min_overlap=0) == GOOD
    assert read(project(region(1, 1, "put meat")), min_overlap=0.01) == ([None], [])


def test_values_are_read_by_their_keys_and_boxes_have_no_time(read):
    assert read(project({**PUT_MEAT, "type": "timeserieslabels"})) == GOOD
    box = {"id": "b", "from_name": "box", "type": "timelinelabels", "value": {"sequence": [], "timelinelabels": ["take bag"]}}
    assert read(project(box, PUT_MEAT)) == (["put meat"], [f"{PLACE} 1: is a box with the name of a timeline, without ranges of time"])


def test_skipped_annotations_and_predictions_are_no_labels_and_of_several_people_the_ground_truth_counts(read):
    predicted = {"id": 8, "data": DATA, "annotations": [], "predictions": [{"result": [region(1, 192, "take bag")]}]}
    skipped = export(task(PUT_MEAT, was_cancelled=True), predicted)
    assert read(skipped) == ([None], ["project-1.json, task 7: was skipped in Label Studio"])
    both = task(PUT_MEAT)
    both["annotations"].append({"id": 2, "ground_truth": True, "result": [region(1, 192, "take bag")]})
    actions, (reason,) = read(export(both))
    assert actions == ["take bag"]
    assert "marked as the ground truth" in reason


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"start": None, "end": 5}, "without a start or an end"),
        ({"start": 5, "end": None}, "without a start or an end"),
        ({"start": 0, "end": 5}, "frames count from 1"),
        ({"start": 9, "end": 5}, "ends at frame 5, before its start"),
        ({"start": 1.5, "end": 5}, "start 1.5 is not the number of a frame"),
        ({"start": True, "end": 5}, "start 'True' is not a number"),
        ({"start": 10**400, "end": 5}, "is not a number"),
        ({"start": f"https://anna:{'p' * 120}@host/", "end": 5}, "start 'https://host/' is not a number"),
        ([1, 5], "range is not an object"),
    ],
)
def test_a_bad_range_costs_itself(read, given, reason):
    actions, (told,) = read(project({**PUT_MEAT, "value": {"ranges": [given], "timelinelabels": ["take bag"]}}, PUT_MEAT))
    assert actions == ["put meat"]
    assert told.startswith(f"{PLACE} 1: ")
    assert reason in told


def test_choices_of_a_region_complete_its_label_once(read):
    take = region(1, 192, "take", from_name="verb")
    assert read(project(choice("noun", "Tortilla"), take)) == (["take tortilla"], [])
    assert read(project(take, choice("noun", "tortilla", "bag", "pan"), choice("object", "meat"), choice("verb", "put"))) == (
        ["take tortilla"],
        [
            f"{PLACE} 2: 'noun' has 3 choices for one region; 'tortilla' is used, not 'bag', 'pan'",
            f"{PLACE} 3: 'object' gives the region a second noun; 'tortilla' is used, not 'meat'",
            f"{PLACE} 4: 'verb' gives the region a second verb; 'take' is used, not 'put'",
        ],
    )


def test_choices_about_the_whole_video_label_all_of_it_unless_it_has_ranges(read):
    assert read(project(choice("noun", "meat"), choice("label", "put"))) == GOOD
    whole = [choice(name, of, identity=name) for name, of in (("verb", "put"), ("noun", "meat"), ("quality", "good"))]
    assert read(project(*whole), 2) == (["put meat"] * 2, [])
    actions, told = read(project(*whole, region(193, 384, "take bag")), 2)
    assert actions == [None, "take bag"]
    assert "is about the whole video, which has ranges" in told[0]
    assert read(project(choice("verb", "take"), choice("verbs", "put"), choice("noun", "bag"), choice("action", "put meat"))) == (
        ["take bag"],
        [
            f"{PLACE} 2: 'verbs' gives the video a second verb; 'take' is used, not 'put'",
            f"{PLACE} 4: 'action' is not used: the video has a verb of its own",
        ],
    )


def test_two_timelines_of_verbs_and_nouns_are_joined_by_their_times(read):
    verbs = [region(1, 192, "put", from_name="verb"), region(193, 384, "take", from_name="verb")]
    nouns = [region(180, 384, "bag", from_name="noun"), region(1, 179, "meat", from_name="noun")]
    assert read(project(*verbs, *nouns), 2) == (["put meat", "take bag"], [])


@pytest.mark.parametrize(
    "address",
    [
        "https://h/films/A.MP4?X-Amz-Signature=1f&X-Amz-Expires=60",
        "https://h/A.mp4?sv=2024&sig=x%3D",
        "/data/local-files/?d=films%2FA.mp4",
        " C:\\films\\A.mp4 ",
    ],
)
def test_an_address_is_a_video_under_any_name_of_its_field(read, address):
    data = {"video_url": address, "note": "seen twice", "page": "https://h/page?next=1"}
    assert read(project(PUT_MEAT, data=data), {"A.mp4": 1}) == GOOD


def test_of_several_names_the_one_that_is_there_counts(read):
    longer = project(PUT_MEAT, data={"video": "0123abcd-a.mp4"})
    assert read(longer, {"0123abcd-a.mp4": 1, "a.mp4": 1}) == (["put meat", None], [])
    assert read(project(PUT_MEAT, data={"video": "s3://elsewhere/videos/1234/source.mp4", "name": "a.mp4"})) == GOOD
    assert "matches 2 videos" in read(project(PUT_MEAT), {"x/a.mp4": 1, "y/a.mp4": 1})[1][0]


def test_json_min(read):
    timed = {"id": 24, "video": "a.mp4", "action": [timeline(1, 192, "put meat")], "lead_time": 12.3}
    chosen = {"id": 25, "video": "b.mp4", "verb": "take", "noun": {"choices": ["bag"]}, "lead_time": 1}
    box = {"id": 26, "video": "c.mp4", "action": [{"timelinelabels": ["x"]}]}
    assert read(json_min(timed, chosen, box, "no item"), {"a.mp4": 2, "b.mp4": 1}) == (
        ["put meat", None, "take bag"],
        [
            "min.json, item 3, action 1: is a box with the name of a timeline, without ranges of time",
            "min.json, item 4: item is not an object",
        ],
    )
    other = {"video": "a.mp4", "sounds": [{"start": 1.5, "end": 3.0, "labels": ["put"]}]}
    told = "min.json, item 1, sounds 1: 'sounds' has labels, not timelinelabels or choices; use TimelineLabels or Choices"
    assert read(json_min(other))[1] == [told]
    several = {"video": "a.mp4", "verb": [timeline(1, 192, "put")], "noun": ["bag", {"choices": ["pan"]}], "tags": ["x"]}
    reason = "is one of several choices without a region; export JSON, which has the regions"
    assert read(json_min(several)) == (["put"], [f"min.json, item 1, noun {number}: {reason}" for number in (1, 2)])


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_tables_with_json_in_their_cells_may_state_a_rate(label, delimiter):
    labelling = label({"a.mp4": 3}, table([], delimiter))
    assert [clip.action for clip in labelling.clips] == [None, "put meat", "put meat"]
    assert labelling.clips[1].origin == "x.csv:2"
    labelling = label({"a.mp4": 2}, table(["30"], delimiter), min_overlap=1)
    assert ([clip.action for clip in labelling.clips], labelling.hints) == ([None, "put meat"], ())


def test_several_labels_of_one_region_and_unusable_names(read):
    actions, told = read(project(region(1, 192, "put meat", "take bag"), region(1, 10, "???"), region(1, 10, "x" * 80)))
    assert actions == ["put meat"]
    assert [("is not a name" in reason, "is longer" in reason) for reason in told] == [(True, False), (False, True)]


def test_texts_are_split_as_folder_names_are_and_alike_in_all_files(read):
    lists = {"verbs.csv": "verb_id,class_key,verbs\n8,turn-on,\"['turn-on', 'switch-on']\"\n"}
    texts = [region(1, 192, "Turn on tap"), region(193, 384, "switch_on/oven"), region(385, 576, "wave")]
    assert read(lists | project(*texts), 3) == (["turn-on tap", "turn-on oven", "wave"], [])


@pytest.mark.parametrize(
    ("control", "value", "reason"),
    [
        ("action", {"taxonomy": [["put", "meat"]]}, "'action' has taxonomy, not timelinelabels or choices"),
        ("kinds", {"taxonomy": [["put", "meat"]]}, "'kinds' has taxonomy, not timelinelabels or choices"),
        ("sounds", {"start": 1.5, "end": 3.0, "labels": ["put"]}, "'sounds' has labels, not timelinelabels or choices"),
        ("verb", {"rating": 3}, "'verb' has neither timelinelabels nor choices"),
        ("quality", {"choices": ["good"]}, None),
        ("quality", {"rating": 3}, None),
        ("quality", {"text": ["seen twice"]}, None),
    ],
)
def test_labels_that_are_written_in_another_way_are_named_and_other_controls_passed_over(read, control, value, reason):
    told = [f"{PLACE} 1: {reason}; use TimelineLabels or Choices"] if reason else []
    assert read(project({"id": "x", "from_name": control, "value": value}, PUT_MEAT)) == (["put meat"], told)


def test_a_rate_that_no_task_states_is_said_once_a_file(label):
    files = {
        **export(task(PUT_MEAT), task(PUT_MEAT)),
        **json_min({"video": "a.mp4", "action": [timeline(1, 192, "put meat")]}),
        **table([]),
        "stated.json": json.dumps([task(PUT_MEAT, data={**DATA, "fps": 30})]),
        "whole.json": json.dumps([task(choice("action", "put meat"))]),
    }
    assert label({"a.mp4": 1}, files).hints == tuple(
        f"{file}: no frame rate for {labels}: 24 assumed; `labels import --frame-rate` states another"
        for file, labels in (("project-1.json", "2 labels"), ("min.json", "1 label"), ("x.csv", "1 label"))
    )


def test_a_stated_rate_is_written_where_a_task_has_none():
    both = [task(region(1, 2, "x")), task(region(1, 2, "x"), data={**DATA, "framerate": 50})]
    assert [task["data"].get("fps") for task in json.loads(with_frame_rate(json.dumps(both).encode(), 30))] == [30, None]
    flat = {"video": "a.mp4", "annotator": 1, "annotation_id": 1}
    for item in (flat, {**flat, "video": "half an emoji \ud83d.mp4"}):
        assert json.loads(with_frame_rate(json.dumps([item]).encode(), 30)) == [{**item, "fps": 30}]
    with pytest.raises(BadLabels, match="is no JSON of Label Studio"):
        with_frame_rate(b'{"database": {}}', 30)
    with pytest.raises(BadLabels, match="export JSON, or add a column 'fps' to its CSV"):
        with_frame_rate(b"video,action,annotator,annotation_id\n", 30)
