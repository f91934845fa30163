import json

import pytest

ATTRIBUTES = {
    "1": {"aname": "verb", "type": 4, "options": {"0": "put", "1": "take", "default": "x"}},
    "2": {"aname": "noun", "type": 1, "options": {}},
    "3": {"aname": "comment", "type": 1, "options": {}},
}
STILL = ["a.mp4"], [3], [], {"1": "0"}
FILES = ["gone.mp4", "left.mp4", "right.mp4"]


def exported(*rows):
    head = f"# Exported using VGG Image Annotator\n# ATTRIBUTE = {json.dumps(ATTRIBUTES)}\n"
    columns = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
    quoted = (['"' + json.dumps(value).replace('"', '""') + '"' for value in row] for row in rows)
    return {"via.csv": head + columns + "".join(f'"1_j5s",{files},0,{times},{shape},{values}\n' for files, times, shape, values in quoted)}


def project(files, **metadata):
    named = {str(number): {"fid": str(number), "fname": name, "src": "blob:x"} for number, name in enumerate(files)}
    content = {"project": {"pid": "x"}, "attribute": ATTRIBUTES, "file": named, "view": {"7": {"fid_list": list(named)}}}
    return {"via_project.json": json.dumps(content | {"metadata": metadata})}


def test_values_are_ids_of_options_of_attributes(label, read):
    meat = ["a.mp4"], [0.5, 8], [], {"1": "0", "2": "meat", "3": "main title"}
    files = exported(meat, (["a.mp4"], [8, 16], [], {"1": "1", "2": ""}), (["b.mp4"], [], [], {"1": "1", "2": "bag"}))
    assert read(files, {"a.mp4": 2, "b.mp4": 1}) == (["put meat", "take", "take bag"], [])
    assert label({"a.mp4": 2, "b.mp4": 1}, files).clips[0].origin == "via.csv:4"


def test_stills_shapes_defaults_and_odd_lines_are_named(label, read):
    files = exported(
        STILL,
        (["a.mp4"], [3], [2, 1, 1, 5, 5], {"1": "0"}),
        (["a.mp4"], [0, 8], [], {"1": "_DEFAULT"}),
        (["a.mp4"], [0, 8], [], {"2": "meat"}),
        ([], [0, 8], [], {"1": "0"}),
        (["a.mp4"], ["x", 8], [], {"1": "0"}),
        (["a.mp4"], [0, 8], [], {"1": "0,1"}),
    )
    assert read(files) == (
        ["put"],
        [
            "via.csv line 4: is a still, without a range of time",
            "via.csv line 5: is a shape in a picture, not a range of time",
            "via.csv line 6: has no value for an attribute that is called verb, noun, action or label",
            "via.csv line 7: has a noun without a verb",
            "via.csv line 8: names no file",
            "via.csv line 9: start 'x' is not a number",
        ],
    )
    assert label({"a.mp4": 1}, files).clips[0].second_action == "take"


def test_temporal_segments(read):
    columns = "# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata\n"
    rows = '"1_ab","[""a.mp4""]",1.124,7.5,"{""TEMPORAL-SEGMENTS"":""put meat""}"\n"1_ac","[""a.mp4""]",1.124\n'
    assert read({"via.csv": columns + rows}) == (["put meat"], ["via.csv line 3: has 3 cells where the header has 5"])
    _, (reason,) = read({"via.csv": "# CSV_HEADER = metadata_id,file_list,shape\n"})
    assert "export temporal segments from VIA 3" in reason


def test_a_project_file(read):
    meat = {"vid": "7", "flg": 0, "z": [0, 8], "xy": [], "av": {"1": "0", "2": "meat"}}
    files = project(["a.mp4"], **{"7_a": meat, "7_b": {**meat, "vid": "8"}})
    assert read(files) == (["put meat"], ["via_project.json, metadata 7_b: has no file"])


def test_all_files_of_a_view_that_the_store_has_are_labelled(read):
    files = exported((FILES, [0, 8], [], {"1": "0"}))
    assert read(files, {"left.mp4": 2, "right.mp4": 2}) == (["put", None] * 2, [])
    whole = project(FILES, **{"7_a": {"vid": "7", "z": [0, 8], "xy": [], "av": {"1": "0"}}})
    assert read(whole, {"left.mp4": 1, "right.mp4": 1}) == (["put"] * 2, [])
    assert "'gone.mp4' matches no ingested video" in read(files)[1][0]


@pytest.mark.parametrize("sign", ["\u2028", "\u0085"])
def test_only_ends_of_lines_end_lines(read, sign):
    text = exported((["a.mp4"], [0, 8], [], {"1": "0", "3": "x"}), STILL)["via.csv"].replace('""x""', f'""x{sign}y""')
    assert read({"via.csv": text}) == (["put"], ["via.csv line 5: is a still, without a range of time"])
