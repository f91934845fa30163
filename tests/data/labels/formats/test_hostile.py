"""Files that mean harm: each is refused as a whole or item by item, before it costs time or memory."""

import itertools
import json
import re
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.labels.formats import items, safe_parsing, via
from tests.data.labels.records import actions, zipped

GOOD = {"z.csv": "uid,verb,noun\na,put,meat\n"}
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<annotations><meta><source>a.mp4</source></meta><track label='&b;'/></annotations>"
)
UNENDED = LAUGHS[: LAUGHS.index("<annotations>")] + "<" * 1_000_000
EMPTY = '""'
EXTERNAL = '<!DOCTYPE annotations SYSTEM "file:///etc/passwd"><annotations/>'


def archive(name="annotations.xml", content=b"<annotations/>", **compression):
    return zipped({name: content}, **compression)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("uid,verb,noun,action\n", "has a header but no lines"),
        *((content, "document type or entities") for content in (LAUGHS, LAUGHS.encode("utf-16"), UNENDED, EXTERNAL)),
        ("<annotations><track label='&b;'/></annotations>", "is not XML: undefined entity"),
        ("<annotations><track></annotations>", "is not XML: mismatched tag"),
        ("<html/>", "is XML of no known tool"),
        ("<", "is not XML"),
        *((f'<?xml version="1.0" encoding="{encoding}"?><annotations/>', "is not XML") for encoding in ("nonsense", "shift_jis")),
        (f"<annotations {' '.join(f'a{number}={EMPTY}' for number in range(1001))}/>", "more than 1000 different names"),
        ("<annotations>" + "<a>" * 100 + "</a>" * 100 + "</annotations>", "nested more than 50 deep"),
        ("<annotations/>", "without any label"),
        *((content, "nested too deeply") for content in ("[" * 100_000, '{"a":' * 100_000)),
        ("[" * 4_000_000, "split it into several files"),
        ("[NaN]", "NaN is not a number of JSON"),
        ('[{"id":1' + "0" * 5000 + "}]", "is not JSON"),
        *((content, "is JSON of no known tool") for content in ("[1, 2]", "[]", "{}", '{"database": 3}')),
        ('{"database": {}}', "without any label"),
        ("[{", "is not JSON"),
        (f"# CSV_HEADER = {','.join(via.SEGMENTS)}\n# ATTRIBUTE = []\n", "ATTRIBUTE is not an object"),
        (b'["\xff"]', "is not JSON"),
        (archive("other.xml"), "0 files annotations.xml"),
        (archive(compression=zipfile.ZIP_LZMA), "unusual compression"),
        (archive("xl/workbook.xml"), "Excel workbook"),
        (archive()[:60], "damaged archive"),
        (archive(compression=zipfile.ZIP_STORED).replace(b"<annotations/>", b"<annotationsx>"), "damaged archive"),
    ],
    ids=range(33),
)
def test_a_hostile_file_is_refused_as_a_whole(label, content, reason):
    labelling = label({"a.mp4": 1}, {"bad.json": content} | GOOD)
    assert actions(labelling) == ["put meat"]
    (problem,) = labelling.problems
    assert problem.line is None
    assert reason in problem.reason


@pytest.mark.parametrize("content", ["[" * 750_001, "[" + "1," * 1_250_000, "[" + "{}," * 625_000], ids=["lists", "values", "objects"])
def test_json_of_very_many_values_is_not_parsed(label, content, monkeypatch):
    monkeypatch.setattr(safe_parsing.json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    (problem,) = label({"a.mp4": 1}, {"bad.json": content} | GOOD).problems
    assert "split it into several files" in problem.reason


@pytest.mark.parametrize("box", ['<box frame="1" name="0123456789"/>', "<box><attribute>0123456789</attribute></box>"])
def test_a_track_of_very_much_text_is_not_kept(label, box, monkeypatch):
    monkeypatch.setattr(safe_parsing, "MAX_ELEMENT_TEXT_BYTES", 5000)
    track = f"<annotations><meta><source>a.mp4</source></meta><track>{box * 100}</track></annotations>"
    (problem,) = label({"a.mp4": 1}, {"bad.xml": track} | GOOD).problems
    assert "too much text" in problem.reason


def test_a_zip_bomb_is_not_unpacked(label, monkeypatch):
    monkeypatch.setattr(safe_parsing, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = archive(content=b"<annotations>" + b" " * (1 << 20))
    (problem,) = label({"a.mp4": 1}, {"bad.zip": bomb} | GOOD).problems
    assert "larger than 1 MiB" in problem.reason


def test_of_very_many_pieces_that_all_overlap_few_are_compared(label, monkeypatch):
    num_pieces, num_compared, overlap = 2000, itertools.count(), items.overlap_seconds
    monkeypatch.setattr(items, "overlap_seconds", lambda first, second: (next(num_compared), overlap(first, second))[1])
    timeline = [{"ranges": [{"start": 1, "end": 200_000}], "timelinelabels": ["put"]}]
    words = {"verb": timeline * num_pieces, "noun": [{**timeline[0], "timelinelabels": ["bag"]}] * num_pieces}
    item = {"video": "a.mp4", "annotator": 1, "annotation_id": 1, **words}
    assert actions(label({"a.mp4": 1}, {"a.json": json.dumps([item])})) == ["put bag"]
    assert 0 < next(num_compared) <= num_pieces * 100


KEYS = re.findall(
    r"\w+",
    "id data video annotations result value ranges start end timelinelabels choices from_name database segment label labels classes support "
    "annotation_id annotator fps file view metadata attribute project vid fid_list fname z xy av",
)
TAGS = re.findall(r"\w+", "track image meta box tag attribute source task TIER ANNOTATION TIME_SLOT MEDIA_DESCRIPTOR HEADER")
ATTRIBUTES = re.findall(r"\w+", "id label frame outside name TIME_VALUE MEDIA_URL TIER_ID TIME_ORIGIN")
VIA = b"# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata\n"
STARTS = [b"", b"uid,verb,noun\n", VIA, b"PK\x03\x04", b"<annotations>", b"[", b"a.mp4 "]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a.mp4", "put meat", "ä\u202e", "1_1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda v: v,
        lambda v: [{"data": {"video": "a.mp4"}, "annotations": v}],
        lambda v: [{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"value": v, "from_name": "verb"}, v]}]}],
        lambda v: [{"data": v, "annotations": [{"result": []}]}],
        lambda v: [{"annotator": 1, "annotation_id": 2, "video": "a.mp4", "verb": v}],
        lambda v: {"database": {"a.mp4": {"annotations": [v]}}},
        lambda v: {"classes": v, "labels": {"a": [v, {"label": 0, "support": v}]}},
        lambda v: {"project": 1, "file": v, "attribute": v, "view": v, "metadata": {"1": v}},
    ],
)
@settings(max_examples=40)
@given(value=VALUES)
def test_json_of_wrong_types_never_raises(label, wrap, value):
    labelling = label({"a.mp4": 1}, {"a.json": json.dumps(wrap(value))} | GOOD)
    assert actions(labelling) == ["put meat"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(TAGS),
            st.dictionaries(
                st.sampled_from(ATTRIBUTES), st.sampled_from(["", "0", "-1", "1", "a.mp4", "verb", "1e999", "9" * 30]), max_size=4
            ),
            st.integers(0, 3),
        ),
        max_size=12,
    ),
    st.sampled_from(["annotations", "ANNOTATION_DOCUMENT"]),
)
def test_xml_of_wrong_shapes_never_raises(label, parts, root):
    opened, text = [root], f"<{root}>"
    for tag, attributes, closes in parts:
        for _ in range(min(closes, len(opened) - 1)):
            text += f"</{opened.pop()}>"
        text += f"<{tag} " + " ".join(f'{name}="{value}"' for name, value in attributes.items()) + ">x"
        opened.append(tag)
    text += "".join(f"</{tag}>" for tag in reversed(opened))
    labelling = label({"a.mp4": 1}, {"a.xml": text} | GOOD)
    assert actions(labelling) == ["put meat"]


@given(st.binary(max_size=200), st.sampled_from(STARTS))
def test_noise_never_raises(label, noise, start):
    labelling = label({"b.mp4": 1}, {"a.csv": start + noise, "z.csv": "uid,verb,noun\nb,put,meat\n"})
    assert actions(labelling) == ["put meat"]
    assert all(problem.reason.isprintable() for problem in labelling.problems)
