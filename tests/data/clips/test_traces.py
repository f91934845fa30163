"""Names of a video are found in any spelling; annotation files lose its labels alone."""

import html
import io
import json
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.clips.traces import LabelledVideos, Traces, json_without, table_without
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.video_names import VideoIndex
from tasks.errors import BadInput
from tests.data.labels.formats.test_cvat import box, file, project, track
from tests.data.labels.records import INTERVALS, zipped

VIDEO, OTHER = "a" * 64, "b" * 64
NAMES = {VIDEO: ("kitchen/meat & more.mp4",), OTHER: ("kitchen/bag.mp4",)}
TRACES = Traces((VIDEO,), ("kitchen/meat & more.mp4", "meat & more.mp4"))
LABELLED = LabelledVideos(VideoIndex((), NAMES), dict.fromkeys(NAMES, 30.0), (VIDEO,), TRACES)

file_names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).map(lambda text: f"{text}.mp4")


def table_of(*names):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"name": pa.array(names, pa.string()), "n": list(range(len(names)))}), buffer, compression="zstd")
    return buffer.getvalue()


@given(file_names, st.sampled_from((json.dumps, html.escape, quote, lambda name: f'<a href="{quote(name, safe="")}">')))
def test_a_name_is_found_as_json_pages_and_addresses_spell_it(name, spelled):
    assert Traces((), (name,)).in_text(f"its name: {spelled(name)} ")


def test_a_name_is_found_inside_an_archive_and_a_table_whose_bytes_do_not_show_it():
    names = [f"film {number * 7919 % 2000}.mp4" for number in range(2000)]
    for packed in (zipped({"names": " ".join(names)}), table_of(*names)):
        assert b"film 1234.mp4" not in packed
        assert Traces((), ("film 1234.mp4",)).in_bytes(packed)
        assert not Traces((), ("film 2345.mp4",)).in_bytes(packed)


# Named, because an archive has the time at which it was made, and each process of a run makes its own.
@pytest.mark.parametrize(
    "data",
    [zipped({"inside": "x"})[:30], table_of("x")[:30], b"PK\x03\x04", b"PAR1"],
    ids=["half an archive", "half a table", "no archive", "no table"],
)
def test_a_damaged_archive_or_table_stops_nothing(data):
    assert not TRACES.in_bytes(data)
    assert TRACES.in_bytes(data + VIDEO.encode())
    assert table_without(data, TRACES.in_text) is None
    assert json_without(data, TRACES.in_text) is None


@pytest.mark.parametrize("text", ["more meat & more.mp4x", "xmeat & more.mp4", "meat & more.mp4-2", "aaaaaaaaaaa", ""])
def test_a_longer_name_is_another(text):
    assert not TRACES.in_text(text)


def test_a_list_loses_its_element_and_a_record_that_is_about_the_video_goes():
    matches = TRACES.in_text
    data = {"files": [{"video": VIDEO}, {"video": OTHER}], "by_video": {VIDEO: 1, OTHER: 2}, "number": 3}
    assert json.loads(json_without(json.dumps(data).encode(), matches)) == {
        "files": [{"video": OTHER}], "by_video": {OTHER: 2}, "number": 3
    }  # fmt: skip
    assert json_without(json.dumps({"video": {"hash": VIDEO}}).encode(), matches) is None
    data = {"versions": [{"reason": VIDEO, "uids": [VIDEO, OTHER]}, {"reason": OTHER, "name": VIDEO}]}
    left = json.loads(json_without(json.dumps(data).encode(), matches, blanked=("reason",)))
    assert left == {"versions": [{"reason": "", "uids": [OTHER]}]}


def test_a_table_loses_its_rows():
    left = pq.read_table(io.BytesIO(table_without(table_of("x", f"{VIDEO[:12]}_0", "y"), TRACES.in_text)))
    assert left.to_pydict() == {"name": ["x", "y"], "n": [0, 2]}


def without(name, content):
    return LABELLED.without(AnnotationFile(name, content if isinstance(content, bytes) else content.encode()))


@pytest.mark.parametrize("spelled", ["kitchen/meat & more.mp4", "meat & more", VIDEO, f"{VIDEO[:12]}_000000000-000008000"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_table_of_labels_loses_the_lines_of_the_video_under_each_of_its_names(spelled, encoding):
    lines = ["uid;verb;noun", f"{spelled};put;meat", "bag;take;br\N{LATIN SMALL LETTER O WITH DIAERESIS}tchen", ""]
    content = without("two.csv", "\r\n".join(lines).encode(encoding))
    assert content.decode(encoding).split("\r\n") == [lines[0], *lines[2:]]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (f"{INTERVALS}bag,0,2,take,bag\n", f"{INTERVALS}bag,0,2,take,bag\n"),
        (f"{INTERVALS}meat & more,0,2,put,meat\n", None),
        ("video,recording\nmeat & more,day\nbag,day\n", "video,recording\nbag,day\n"),
        ("no labels\n", "no labels\n"),
        ("no labels of meat & more.mp4\n", None),
    ],
)
def test_a_file_about_others_stays_as_it_is_and_one_about_the_video_goes(content, left):
    assert without("labels.csv", content) == (left and left.encode())


def test_json_of_a_tool_loses_the_labels_of_the_video():
    segment = {"annotations": [{"segment": [0, 2], "label": "put meat"}], "duration": 8, "subset": "training"}
    content = json.dumps({"version": "1", "taxonomy": [], "database": dict.fromkeys(["meat & more", "bag"], segment)})
    assert json.loads(without("all.json", content))["database"].keys() == {"bag"}


def test_a_file_that_cannot_be_written_without_the_video_is_named():
    tasks = project((1, "meat &amp; more.mp4", 60, 59, 0), (2, "bag.mp4", 60, 59, 0))
    tracks = [track("put meat", box(start), more=f' task_id="{number}"') for number, start in ((1, 0), (2, 60))]
    with pytest.raises(BadInput, match=r"two\.zip labels other videos, too"):
        without("two.zip", zipped({"annotations.xml": file(*tracks, meta=tasks)}))
