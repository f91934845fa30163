"""VIA 3's exports and project file."""

import json

import pytest

from tests.dataset.formats.told import actions, reasons

ATTRIBUTES = {
    "1": {"aname": "verb", "type": 4, "options": {"0": "put", "1": "take", "default": "x"}},
    "2": {"aname": "noun", "type": 1, "options": {}},
    "3": {"aname": "comment", "type": 1, "options": {}},
}


def quoted(value):
    return '"' + json.dumps(value).replace('"', '""') + '"'


def exported(*rows, attributes=ATTRIBUTES):
    head = [
        "# Exported using VGG Image Annotator",
        f"# ATTRIBUTE = {json.dumps(attributes)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata",
    ]
    lines = [f'"1_j5s",{quoted(files)},0,{quoted(times)},{quoted(shape)},{quoted(values)}' for files, times, shape, values in rows]
    return {"via.csv": "\n".join([*head, *lines]) + "\n"}


def test_values_are_ids_of_options_of_attributes(label):
    found = label(
        {"a.mp4": 2, "b.mp4": 1},
        exported(
            (["a.mp4"], [0.5, 8], [], {"1": "0", "2": "meat", "3": "main title"}),
            (["a.mp4"], [8, 16], [], {"1": "1", "2": ""}),
            (["b.mp4"], [], [], {"1": "1", "2": "bag"}),
        ),
    )
    assert actions(found) == ["put meat", "take", "take bag"]
    assert found.clips[0].origin == "via.csv:4"


def test_stills_shapes_defaults_and_odd_lines_are_named(label):
    found = label(
        {"a.mp4": 1},
        exported(
            (["a.mp4"], [3], [], {"1": "0"}),
            (["a.mp4"], [3], [2, 1, 1, 5, 5], {"1": "0"}),
            (["a.mp4"], [0, 8], [], {"1": "_DEFAULT"}),
            (["a.mp4"], [0, 8], [], {"2": "meat"}),
            ([], [0, 8], [], {"1": "0"}),
            (["a.mp4"], ["x", 8], [], {"1": "0"}),
            (["a.mp4"], [0, 8], [], {"1": "0,1"}),
        ),
    )
    assert actions(found) == ["put"]
    assert found.clips[0].second_action == "take"
    assert reasons(found) == [
        "via.csv line 4: is a still, without a range of time",
        "via.csv line 5: is a shape in a picture, not a range of time",
        "via.csv line 6: has no value for an attribute that is called verb, noun, action or label",
        "via.csv line 7: has a noun without a verb",
        "via.csv line 8: names no file",
        "via.csv line 9: start 'x' is not a number",
    ]


def test_temporal_segments(label):
    text = '# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata\n"1_ab","[""a.mp4""]",1.124,7.5,"{""TEMPORAL-SEGMENTS"":""put meat""}"\n"1_ac","[""a.mp4""]",1.124\n'
    found = label({"a.mp4": 1}, {"via.csv": text})
    assert actions(found) == ["put meat"]
    assert reasons(found) == ["via.csv line 3: has 3 cells where the header has 5"]


def test_a_file_of_via_without_time_is_named(label):
    (problem,) = label({"a.mp4": 1}, {"via.csv": "# CSV_HEADER = metadata_id,file_list,shape\n"}).problems
    assert "export temporal segments from VIA 3" in problem.reason


def test_a_project_file(label):
    project = {
        "project": {"pid": "__VIA_PROJECT_ID__"},
        "attribute": ATTRIBUTES,
        "file": {"1": {"fid": "1", "fname": "a.mp4", "src": "blob:x"}},
        "view": {"7": {"fid_list": ["1"]}},
        "metadata": {
            "7_a": {"vid": "7", "flg": 0, "z": [0, 8], "xy": [], "av": {"1": "0", "2": "meat"}},
            "7_b": {"vid": "8", "flg": 0, "z": [0, 8], "xy": [], "av": {"1": "0"}},
        },
    }
    found = label({"a.mp4": 1}, {"via_project.json": json.dumps(project)})
    assert actions(found) == ["put meat"]
    assert reasons(found) == ["via_project.json, metadata 7_b: has no file"]


def test_all_files_of_a_view_that_the_store_has_are_labelled(label):
    files = ["gone.mp4", "left.mp4", "right.mp4"]
    found = label({"left.mp4": 2, "right.mp4": 2}, exported((files, [0, 8], [], {"1": "0"})))
    assert actions(found) == ["put", None] * 2
    assert found.problems == ()
    project = {
        "project": {},
        "attribute": ATTRIBUTES,
        "file": {str(number): {"fname": name} for number, name in enumerate(files)},
        "view": {"7": {"fid_list": ["0", "1", "2"]}},
        "metadata": {"7_a": {"vid": "7", "z": [0, 8], "xy": [], "av": {"1": "0"}}},
    }
    assert actions(label({"left.mp4": 1, "right.mp4": 1}, {"x.json": json.dumps(project)})) == ["put"] * 2
    (reason,) = reasons(label({"a.mp4": 1}, exported((files, [0, 8], [], {"1": "0"}))))
    assert "'gone.mp4' matches no ingested video" in reason


@pytest.mark.parametrize("sign", ["\u2028", "\u0085"])
def test_only_ends_of_lines_end_lines(label, sign):
    rows = [(["a.mp4"], [0, 8], [], {"1": "0", "3": "x"}), (["a.mp4"], [3], [], {"1": "0"})]
    text = exported(*rows)["via.csv"].replace('""x""', f'""x{sign}y""')
    found = label({"a.mp4": 1}, {"via.csv": text})
    assert actions(found) == ["put"]
    assert reasons(found) == ["via.csv line 5: is a still, without a range of time"]
