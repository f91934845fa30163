"""Label Studio's exports, with the traps that its users met."""

import json

import pytest

from tasks.dataset.formats.label_studio import with_frame_rate
from tasks.errors import BadLabels
from tests.dataset.formats.told import actions, reasons

DATA = {"video": "/data/upload/1/abcd1234-a.mp4"}


def region(start, end, *labels, **more):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}
    return {"id": f"{start}", "from_name": "action", "to_name": "video", "type": "timelinelabels", "value": value, **more}


def task(*results, data=DATA, **more):
    return {"id": 7, "data": data, "annotations": [{"id": 1, "was_cancelled": False, "result": list(results), **more}], "predictions": []}


def export(*tasks):
    return {"project-1.json": json.dumps(tasks)}


def test_frames_count_from_one_at_24_per_second_whatever_the_rate_of_the_file(label):
    # Frames 193 to 384 are the seconds 8 to 16.
    found = label({"a.mp4": 3}, export(task(region(193, 384, "put meat"))), min_overlap=1, fps=60)
    assert actions(found) == [None, "put meat", None]
    assert found.clips[1].origin == "project-1.json, task 7, result 1"


@pytest.mark.parametrize("name", ["fps", "framerate"])
def test_a_rate_in_the_data_of_the_task_counts(label, name):
    found = label({"a.mp4": 2}, export(task(region(241, 480, "put meat"), data={**DATA, name: "30"})), min_overlap=1)
    assert actions(found) == [None, "put meat"]


def test_a_range_of_one_frame_is_one_frame_long(label):
    found = label({"a.mp4": 1}, export(task(region(1, 1, "put meat"))), min_overlap=0)
    assert actions(found) == ["put meat"]
    assert actions(label({"a.mp4": 1}, export(task(region(1, 1, "put meat"))), min_overlap=0.01)) == [None]


def test_a_box_with_the_label_of_a_timeline_has_no_time(label):
    box = {"id": "b", "from_name": "box", "type": "timelinelabels", "value": {"sequence": [], "timelinelabels": ["take bag"]}}
    found = label({"a.mp4": 1}, export(task(box, region(1, 192, "put meat"))))
    assert actions(found) == ["put meat"]
    assert reasons(found) == ["project-1.json, task 7, result 1: is a box with the name of a timeline, without ranges of time"]


def test_values_are_read_by_their_keys_and_not_by_their_type(label):
    assert actions(label({"a.mp4": 1}, export(task(region(1, 192, "put meat", type="timeserieslabels"))))) == ["put meat"]


def test_skipped_annotations_and_predictions_are_no_labels(label):
    skipped = task(region(1, 192, "put meat"), was_cancelled=True)
    predicted = {"id": 8, "data": DATA, "annotations": [], "predictions": [{"result": [region(1, 192, "take bag")]}]}
    found = label({"a.mp4": 1}, export(skipped, predicted))
    assert actions(found) == [None]
    assert reasons(found) == ["project-1.json, task 7: was skipped in Label Studio"]


def test_of_several_people_the_ground_truth_counts(label):
    both = task(region(1, 192, "put meat"))
    both["annotations"].append({"id": 2, "ground_truth": True, "result": [region(1, 192, "take bag")]})
    found = label({"a.mp4": 1}, export(both))
    assert actions(found) == ["take bag"]
    assert "marked as the ground truth" in reasons(found)[0]


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
        ([1, 5], "range is not an object"),
    ],
)
def test_a_bad_range_costs_itself(label, given, reason):
    bad = region(1, 1, "take bag")
    bad["value"]["ranges"] = [given]
    found = label({"a.mp4": 1}, export(task(bad, region(1, 192, "put meat"))))
    assert actions(found) == ["put meat"]
    (problem,) = found.problems
    assert reason in problem.reason
    assert problem.item == "task 7, result 1"


def test_choices_of_a_region_complete_its_label(label):
    noun = {"id": "1", "from_name": "noun", "type": "choices", "value": {"choices": ["Tortilla"]}}
    verb = region(1, 192, "take", from_name="verb")
    assert actions(label({"a.mp4": 1}, export(task(noun, verb)))) == ["take tortilla"]


def choice(control, *names, identity="1"):
    return {"id": identity, "from_name": control, "type": "choices", "value": {"choices": list(names)}}


def test_choices_of_a_region_that_cannot_be_used_are_named(label):
    choices = [choice("noun", "tortilla", "bag", "pan"), choice("object", "meat"), choice("verb", "put")]
    found = label({"a.mp4": 1}, export(task(region(1, 192, "take", from_name="verb"), *choices)))
    assert actions(found) == ["take tortilla"]
    assert reasons(found) == [
        "project-1.json, task 7, result 2: 'noun' has 3 choices for one region; 'tortilla' is used, not 'bag', 'pan'",
        "project-1.json, task 7, result 3: 'object' gives the region a second noun; 'tortilla' is used, not 'meat'",
        "project-1.json, task 7, result 4: 'verb' gives the region a second verb; 'take' is used, not 'put'",
    ]


def test_choices_for_the_whole_video_that_cannot_be_used_are_named(label):
    choices = [choice("verb", "take"), choice("verbs", "put"), choice("noun", "bag"), choice("action", "put meat")]
    found = label({"a.mp4": 1}, export(task(*choices)))
    assert actions(found) == ["take bag"]
    assert reasons(found) == [
        "project-1.json, task 7, result 2: 'verbs' gives the video a second verb; 'take' is used, not 'put'",
        "project-1.json, task 7, result 4: 'action' is not used: the video has a verb of its own",
    ]


def test_a_noun_completes_the_label_of_the_whole_video(label):
    assert actions(label({"a.mp4": 1}, export(task(choice("noun", "meat"), choice("label", "put"))))) == ["put meat"]


def test_two_timelines_of_verbs_and_nouns_are_joined_by_their_times(label):
    verbs = [region(1, 192, "put", from_name="verb"), region(193, 384, "take", from_name="verb")]
    nouns = [region(180, 384, "bag", from_name="noun"), region(1, 179, "meat", from_name="noun")]
    assert actions(label({"a.mp4": 2}, export(task(*verbs, *nouns)))) == ["put meat", "take bag"]


def test_choices_about_the_whole_video_label_all_of_it(label):
    choices = [
        {"id": name, "from_name": name, "value": {"choices": [of]}} for name, of in [("verb", "put"), ("noun", "meat"), ("quality", "good")]
    ]
    assert actions(label({"a.mp4": 2}, export(task(*choices)))) == ["put meat"] * 2
    found = label({"a.mp4": 2}, export(task(*choices, region(193, 384, "take bag"))))
    assert actions(found) == [None, "take bag"]
    assert "is about the whole video, which has ranges" in found.problems[0].reason


@pytest.mark.parametrize(
    "video",
    [
        "a b.mp4",
        "/data/upload/12/0123abcd-a%20b.mp4",
        "/data/local-files/?d=films%2Fa%20b.mp4",
        "s3://bucket/films/a b.mp4",
        "https://host:8080/films/a%20b.mp4?X-Amz-Signature=1",
        "file:///home/anna/films/a b.mp4",
        "C:\\films\\a b.mp4",
        "0123abcd-a b.mp4",
    ],
)
def test_spellings_of_a_video(label, video):
    assert actions(
        label(
            {"kitchen/a b.mp4": 1, "b.mp4": 1},
            export(task(region(1, 192, "put meat"), data={"clip": video, "note": "x"} if video.endswith("mp4") else {"video": video})),
        )
    ) == ["put meat", None]


@pytest.mark.parametrize(
    "address",
    ["https://h/films/A.MP4?X-Amz-Signature=1f&X-Amz-Expires=60", "https://h/A.mp4?sv=2024&sig=x%3D", "/data/local-files/?d=films%2FA.mp4"],
)
def test_an_address_is_a_video_under_any_name_of_its_field(label, address):
    data = {"video_url": address, "note": "seen twice", "page": "https://h/page?next=1"}
    assert actions(label({"A.mp4": 1}, export(task(region(1, 192, "put meat"), data=data)))) == ["put meat"]


def test_a_longer_name_that_is_there_goes_before_one_without_a_prefix(label):
    found = label({"0123abcd-a.mp4": 1, "a.mp4": 1}, export(task(region(1, 192, "put meat"), data={"video": "0123abcd-a.mp4"})))
    assert actions(found) == ["put meat", None]


def test_a_name_beside_an_address_counts_where_the_address_is_unknown(label):
    data = {"video": "s3://elsewhere/videos/1234/source.mp4", "name": "a.mp4"}
    assert actions(label({"a.mp4": 1}, export(task(region(1, 192, "put meat"), data=data)))) == ["put meat"]


def test_a_name_of_two_videos_is_told(label):
    found = label({"x/a.mp4": 1, "y/a.mp4": 1}, export(task(region(1, 192, "put meat"))))
    assert "matches 2 videos" in found.problems[0].reason


def test_json_min(label):
    items = [
        {
            "id": 24,
            "video": "a.mp4",
            "action": [{"ranges": [{"start": 1, "end": 192}], "timelinelabels": ["put meat"]}],
            "annotator": 1,
            "annotation_id": 7,
            "lead_time": 12.3,
        },
        {"id": 25, "video": "b.mp4", "verb": "take", "noun": {"choices": ["bag"]}, "annotator": 1, "annotation_id": 8, "lead_time": 1},
        {"id": 26, "video": "c.mp4", "annotator": 1, "annotation_id": 9, "action": [{"timelinelabels": ["x"]}]},
        "no item",
    ]
    found = label({"a.mp4": 2, "b.mp4": 1}, {"min.json": json.dumps(items)})
    assert actions(found) == ["put meat", None, "take bag"]
    assert reasons(found) == [
        "min.json, item 3, action 1: is a box with the name of a timeline, without ranges of time",
        "min.json, item 4: item is not an object",
    ]


def test_choices_of_several_regions_in_json_min_are_named(label):
    timeline = [{"ranges": [{"start": 1, "end": 192}], "timelinelabels": ["put"]}]
    item = {"video": "a.mp4", "verb": timeline, "noun": ["bag", {"choices": ["pan"]}], "tags": ["x"], "annotator": 1, "annotation_id": 7}
    found = label({"a.mp4": 1}, {"min.json": json.dumps([item])})
    assert actions(found) == ["put"]
    reason = "is one of several choices without a region; export JSON, which has the regions"
    assert reasons(found) == [f"min.json, item 1, noun 1: {reason}", f"min.json, item 1, noun 2: {reason}"]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_tables_with_json_in_their_cells(label, delimiter):
    cell = json.dumps([{"ranges": [{"start": 1, "end": 192}], "timelinelabels": ["put meat"]}]).replace('"', '""')
    lines = [
        "id,video,action,annotator,annotation_id,lead_time".replace(",", delimiter),
        delimiter.join(["1", "a.mp4", f'"{cell}"', "1", "2", "3"]),
    ]
    found = label({"a.mp4": 1}, {"export.csv": "\n".join(lines)})
    assert actions(found) == ["put meat"]
    assert found.clips[0].origin == "export.csv:2"


def test_several_labels_of_one_region_and_unusable_names(label):
    found = label({"a.mp4": 1}, export(task(region(1, 192, "put meat", "take bag"), region(1, 10, "???"), region(1, 10, "x" * 80))))
    assert actions(found) == ["put meat"]
    assert [("is not a name" in reason, "is longer" in reason) for reason in reasons(found)] == [(True, False), (False, True)]


def test_texts_are_split_as_folder_names_are_and_alike_in_all_files(label):
    lists = {"verbs.csv": "verb_id,class_key,verbs\n8,turn-on,\"['turn-on', 'switch-on']\"\n"}
    found = label(
        {"a.mp4": 3}, lists | export(task(region(1, 192, "Turn on tap"), region(193, 384, "switch_on/oven"), region(385, 576, "wave")))
    )
    assert actions(found) == ["turn-on tap", "turn-on oven", "wave"]


NOT_READ = [
    ("action", {"taxonomy": [["put", "meat"]]}, "'action' has taxonomy, not timelinelabels or choices"),
    ("kinds", {"taxonomy": [["put", "meat"]]}, "'kinds' has taxonomy, not timelinelabels or choices"),
    ("sounds", {"start": 1.5, "end": 3.0, "labels": ["put"]}, "'sounds' has labels, not timelinelabels or choices"),
    ("verb", {"rating": 3}, "'verb' has neither timelinelabels nor choices"),
]


@pytest.mark.parametrize(("control", "value", "reason"), NOT_READ)
def test_labels_that_are_written_in_another_way_are_named(label, control, value, reason):
    (told,) = reasons(label({"a.mp4": 1}, export(task({"id": "x", "from_name": control, "value": value}))))
    assert told == f"project-1.json, task 7, result 1: {reason}; use TimelineLabels or Choices"


@pytest.mark.parametrize("value", [{"choices": ["good"]}, {"rating": 3}, {"text": ["seen twice"]}])
def test_controls_that_are_no_labels_are_passed_over(label, value):
    found = label({"a.mp4": 1}, export(task({"id": "x", "from_name": "quality", "value": value}, region(1, 192, "put meat"))))
    assert (actions(found), found.problems) == (["put meat"], ())


def test_labels_of_another_kind_in_json_min_are_named(label):
    item = {"video": "a.mp4", "sounds": [{"start": 1.5, "end": 3.0, "labels": ["put"]}], "annotator": 1, "annotation_id": 7}
    (reason,) = reasons(label({"a.mp4": 1}, {"min.json": json.dumps([item])}))
    assert reason == "min.json, item 1, sounds 1: 'sounds' has labels, not timelinelabels or choices; use TimelineLabels or Choices"


def test_a_rate_that_no_task_states_is_said_once_a_file(label):
    cell = json.dumps([{"ranges": [{"start": 1, "end": 192}], "timelinelabels": ["put meat"]}])
    item = {"video": "a.mp4", "action": json.loads(cell), "annotator": 1, "annotation_id": 7}
    table = "video,action,annotator,annotation_id\na.mp4,{},1,2\n".format('"' + cell.replace('"', '""') + '"')
    stated = task(region(1, 192, "put meat"), data={**DATA, "fps": 30})
    files = {
        **export(task(region(1, 192, "put meat")), task(region(1, 192, "put meat"))),
        "min.json": json.dumps([item]),
        "x.csv": table,
        "stated.json": json.dumps([stated]),
        "whole.json": json.dumps([task(choice("action", "put meat"))]),
    }
    assert label({"a.mp4": 1}, files).hints == (
        "project-1.json: no frame rate for 2 labels: 24 assumed; `labels import --frame-rate` states another",
        "min.json: no frame rate for 1 label: 24 assumed; `labels import --frame-rate` states another",
        "x.csv: no frame rate for 1 label: 24 assumed; `labels import --frame-rate` states another",
    )


def test_a_rate_cannot_be_written_into_a_table():
    with pytest.raises(BadLabels, match="export JSON, or add a column 'fps' to its CSV"):
        with_frame_rate(b"video,action,annotator,annotation_id\n", 30)


def test_a_column_of_a_table_states_the_rate(label):
    cell = json.dumps([{"ranges": [{"start": 241, "end": 480}], "timelinelabels": ["put meat"]}]).replace('"', '""')
    table = f'video,action,annotator,annotation_id,fps\na.mp4,"{cell}",1,2,30\n'
    found = label({"a.mp4": 2}, {"x.csv": table}, min_overlap=1)
    assert (actions(found), found.hints) == ([None, "put meat"], ())


def test_a_stated_rate_is_written_where_a_task_has_none():
    both = [task(region(1, 2, "x")), task(region(1, 2, "x"), data={**DATA, "framerate": 50})]
    assert [one["data"].get("fps") for one in json.loads(with_frame_rate(json.dumps(both).encode(), 30))] == [30, None]
    item = {"video": "a.mp4", "annotator": 1, "annotation_id": 1}
    assert json.loads(with_frame_rate(json.dumps([item]).encode(), 30)) == [{**item, "fps": 30}]
    with pytest.raises(BadLabels, match="is no JSON of Label Studio"):
        with_frame_rate(b'{"database": {}}', 30)
