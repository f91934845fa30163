"""Tables as people and Excel write them, and files that look like labels and are none."""

import json

import pytest

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.reading import layout_of
from tasks.data.labels.tables import open_table
from tasks.errors import BadLabels
from tasks.predict import output_files
from tests.data.labels.records import actions, reasons

LAYOUTS = {"clips": ("uid", "verb", "noun")}
PLAIN = "uid,verb,noun\na.mp4,put,meat\n"

CELLS = {"video": "a.mp4", "uid": "a.mp4", "start_seconds": "0", "stop_seconds": "8", "verb": "put", "noun": "meat"}
TABLES = {"intervals": output_files.INTERVAL_COLUMNS, "predictions": output_files.SCHEMA.names}


def lines_of(content):
    return list(open_table(content, LAYOUTS, LAYOUTS).lines)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"sep=;\r\nuid;verb;noun\r\na.mp4;put;meat",
        b"\n\n UID , Verb,NOUN \n\n a.mp4 ,put , meat\n,,\n\n",
        b'"uid","verb","noun"\n"a.mp4" , "put","meat"',
        b"uid,verb,noun,,\na.mp4,put,meat,,,,\n",
    ],
)
def test_spellings_of_one_table(content):
    ((_, cells),) = lines_of(content)
    assert {name: cells[name] for name in LAYOUTS["clips"]} == {"uid": "a.mp4", "verb": "put", "noun": "meat"}


def test_order_of_columns_and_line_numbers_are_those_of_the_file():
    lines = lines_of(b"noun,comment,verb,uid\n\nmeat,x,put,a.mp4\nbag,y,take,b.mp4\n")
    assert [(line, cells["uid"], cells["noun"]) for line, cells in lines] == [(3, "a.mp4", "meat"), (4, "b.mp4", "bag")]


def test_windows_text_and_quoted_commas():
    ((_, cells),) = lines_of('uid,verb,noun\n"Küche, hinten.mp4",put,meat\n'.encode("cp1252"))
    assert cells["uid"] == "Küche, hinten.mp4"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"a.mp4,put,meat', "unclosed quote"),
        ("a.mp4,put,meat,extra", "4 cells where the header has 3"),
        ("a.mp4;put;meat", "one cell where the header has 3"),
        ("a\0.mp4,put,meat", "control characters"),
        ("a" * 200_000 + ",put,meat", "field larger"),
    ],
)
def test_a_bad_line_costs_itself(line, reason):
    (bad_number, told), (good_number, cells) = lines_of(f"uid,verb,noun\n{line}\nb.mp4,put,bag\n".encode())
    assert (bad_number, good_number, cells["noun"]) == (2, 3, "bag")
    assert reason in told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n , \n"[:2], "is empty"),
        (b"name,label\nx,y\n", "not a known header"),
        (b"uid,verb,noun,Verb\n", "'verb' twice"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\x00\x01\x02\x03" * 50, "not a known header"),
        (b"\x81\x8d" * 50, "neither UTF-8"),
        (b"uid,verb,noun" + b"," * 200, "203 columns"),
    ],
)
def test_a_file_that_is_no_table(content, reason):
    with pytest.raises(BadLabels, match=reason):
        lines_of(content)


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_a_table_of_predictions_labels_nothing_until_a_person_takes_it(label, columns):
    lines = "\n".join([",".join(columns), ",".join(CELLS.get(name, "") for name in columns)])
    labelling = label({"a.mp4": 1}, {"x.csv": lines})
    reason = "x.csv: holds predictions of a network, not labels; to label by it, check its lines and delete the column 'network'"
    assert (actions(labelling), reasons(labelling)) == ([None], [reason])
    with pytest.raises(BadLabels, match="predictions"):
        layout_of(AnnotationFile("x.csv", lines.encode()))
    assert actions(label({"a.mp4": 1}, {"x.csv": lines.replace("network", "checked")})) == ["put meat"]


def test_results_in_activitynets_format_are_predictions(label):
    results = {"version": "1", "results": {"a": [{"label": "put meat", "score": 0.5, "segment": [0, 8]}]}}
    (reason,) = reasons(label({"a.mp4": 1}, {"intervals.model.json": json.dumps(results)}))
    assert "holds predictions" in reason
