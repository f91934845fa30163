import json
import re
from io import StringIO

import pytest

from tasks.data.clips import gather_labels
from tasks.data.clips.gather_labels import PredictedVideos, labelled_by_files, labelled_in_child, labelled_intervals
from tasks.data.clips.label_inputs import MAX_ANNOTATION_BYTES, videos_beside
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.errors import BadInput, Unavailable
from tasks.options import LabelOptions, SegmentOptions
from tasks.store.layout import Layout
from tasks.store.records.labelling import IntervalStatement, LogEntry
from tasks.store.records.video import SeenFile
from tests.data.labels.records import INTERVALS, video_of
from tests.http_servers import in_thread
from tests.pipeline.shelf import Shelf, grown, recorded, taken_in
from tests.store.s3_server import S3Server

ROOT = "s3://retake"
NAMES = {video_of(name): name for name in ("a.mp4", "b.mp4")}


@pytest.fixture
def shelf():
    made = Shelf()
    taken_in(made, ["a.mp4", "b.mp4"])
    return made


def annotate(shelf, number, lines):
    shelf.write_bytes(f"{ROOT}/annotations/{number}.csv", f"{INTERVALS}{lines}".encode())


def listed(shelf, *names, **beside):
    files = tuple(AnnotationFile(f"{name}.csv", f"{INTERVALS}{lines}".encode()) for name, lines in beside.items())
    intervals = labelled_intervals(shelf, ROOT, predicted(*names, files=files)).intervals
    return [(NAMES[own.video], own.start_seconds, own.stop_seconds, own.verb_class, own.noun_class) for own in intervals]


def predicted(*names, files=()):
    return PredictedVideos({video_of(name): name for name in names}, files)


def covered(shelf, *files):
    parts = labelled_intervals(shelf, ROOT, predicted("a.mp4", "b.mp4", files=files)).covered
    return {NAMES[own]: [(part.start_seconds, part.stop_seconds) for part in covering] for own, covering in parts.items()}


def test_intervals_are_those_of_the_latest_file_that_has_any_of_the_video(shelf):
    annotate(shelf, 1, "a.mp4,0,4,put,meat\nb.mp4,0:01,0:02.5,take,bag\n")
    annotate(shelf, 2, "a,8,9,put,meat\na.mp4,2,12.5,move,sauce\na.mp4,8,9,put,meat\n")
    assert listed(shelf, "a.mp4") == [("a.mp4", 2, 12.5, 9, 41), ("a.mp4", 8, 9, 1, 26)]
    assert listed(shelf, "b.mp4") == [("b.mp4", 1, 2.5, 0, 20)]


def test_a_file_beside_the_videos_may_take_back_that_a_video_is_fully_labelled(shelf):
    shelf.write_bytes(f"{ROOT}/annotations/1.csv", b"video,fully_labelled\na.mp4,yes\n")
    labels = AnnotationFile("own.csv", f"{INTERVALS}a.mp4,0,4,put,meat\n".encode())
    assert covered(shelf, labels, AnnotationFile("marks.csv", b"video,fully_labelled\na.mp4,no\n"))["a.mp4"] == [(0, 4)]


def test_a_file_that_is_too_large_is_not_read(shelf, monkeypatch):
    annotate(shelf, 1, "a.mp4,0,4,put,meat\n")
    annotate(shelf, 2, "a.mp4,4,8,take,bag\n")
    grown(shelf, f"{ROOT}/annotations/2.csv", MAX_ANNOTATION_BYTES + 1, monkeypatch)
    assert listed(shelf, "a.mp4") == [("a.mp4", 0, 4, 1, 26)]


def test_lines_that_name_no_known_video_or_class_are_left_out(shelf, caplog):
    lines = "c.mp4,0,4,put,meat\na.mp4,4,0,put,meat\na.mp4,0,4,whisk,meat\na.mp4,4,8,put,sauce\n"
    annotate(shelf, 1, lines)
    shelf.write_bytes(f"{ROOT}/annotations/2.csv", b"no table")
    assert listed(shelf, "a.mp4", "b.mp4") == [("a.mp4", 4, 8, 1, 41)]
    assert "1 labelled interval left out: a class has no id yet" in caplog.text


def test_nobody_says_that_nothing_happens_in_an_interval_of_an_unknown_class(shelf):
    annotate(shelf, 1, "a.mp4,0,4,put,meat\na.mp4,4,8,whisk,meat\nb.mp4,0,4,put,meat\nb.mp4,4,8,nothing,\n")
    annotate(shelf, 2, "b.mp4,6,9,whisk,meat\n")
    assert covered(shelf) == {"a.mp4": [(0, 4)], "b.mp4": []}, "of b.mp4 the latest file counts"
    shelf.write_bytes(f"{ROOT}/annotations/3.csv", b"video,fully_labelled\na.mp4,yes\n")
    assert covered(shelf)["a.mp4"] == [(0, 4), (8, 864_000)]
    beside = AnnotationFile("own.csv", f"{INTERVALS}b.mp4,1,2,take,bag\n".encode())
    assert covered(shelf, beside)["a.mp4"] == [(0, 4), (8, 864_000)]


def say(shelf, *statements):
    for number, statement in enumerate(statements):
        shelf.write(Layout(ROOT).label_log.entry(number), LogEntry(statement=statement))


def on_page(number, at, **more):
    return IntervalStatement(token=f"statement-{number}", by="anna", at=f"2026-11-27T{at}:00.000Z", video=video_of("a.mp4"), **more)


@pytest.mark.parametrize(("uploaded", "is_of_page"), [("10:30", True), ("11:30", False)])
def test_intervals_of_the_labelling_page_count_as_a_file_of_the_time_of_the_latest_of_them(shelf, uploaded, is_of_page):
    annotate(shelf, 1, "a.mp4,0,4,put,meat\nb.mp4,1,2,take,bag\n")
    shelf.written[f"{ROOT}/annotations/1.csv"] = f"2026-11-27 {uploaded}:00+00:00"
    say(
        shelf,
        on_page(0, "10:00", start_seconds=0, stop_seconds=3.5, verb="put", noun="bag"),
        on_page(1, "10:01", start_seconds=1, stop_seconds=3.5, verb="put", noun="bag", replaces="statement-0"),
        on_page(2, "11:00", start_seconds=5, stop_seconds=6, verb="put", noun="bag"),
    )
    page = [("a.mp4", 1, 3.5, 1, 20), ("a.mp4", 5, 6, 1, 20)]
    file = [("a.mp4", 0, 4, 1, 26)]
    assert listed(shelf, "a.mp4", "b.mp4") == [("b.mp4", 1, 2, 0, 20), *(page if is_of_page else file)], "in the order of the hashes"


def test_labels_of_another_tool_are_read_though_nothing_is_cut():
    shelf = Shelf()
    shelf.write(f"{ROOT}/videos/{video_of('a.mp4')}/probe.json", recorded(video_of("a.mp4"), "a.mp4"))
    database = {"database": {"a": {"subset": "training", "duration": 30, "annotations": [{"label": "put meat", "segment": [1.5, 9]}]}}}
    shelf.write_bytes(f"{ROOT}/annotations/1.json", json.dumps(database).encode())
    assert listed(shelf, "a.mp4") == [("a.mp4", 1.5, 9, 1, 26)]


def test_intervals_in_which_nothing_happens_are_none_of_an_action(shelf, caplog):
    annotate(shelf, 1, "a.mp4,0,4,put,meat\nb.mp4,1,2,put,meat\n")
    annotate(shelf, 2, "a.mp4,0,4,nothing,\na.mp4,4,8,take,bag\nb.mp4,0,9,nothing,\n")
    assert listed(shelf, "a.mp4", "b.mp4") == [("a.mp4", 4, 8, 0, 20)]
    assert covered(shelf) == {"a.mp4": [(0, 4), (4, 8)], "b.mp4": [(0, 9)]}
    shelf.write_bytes(f"{ROOT}/annotations/3.csv", b"video,fully_labelled\na.mp4,yes\n")
    assert covered(shelf)["a.mp4"] == [(0, 864_000)]
    assert not caplog.messages


def test_a_file_beside_the_videos_counts_last_and_names_these_videos_alone(shelf):
    taken_in(shelf, ["film-0123456789ab.mp4"])
    annotate(shelf, 1, "a.mp4,0,4,put,meat\nb.mp4,0,4,put,meat\n")
    own = {"video": video_of("film-0123456789ab.mp4"), "name": "film.mp4"}
    files = (AnnotationFile("1.csv", f"{INTERVALS}film.mp4,1,5,take,bag\nb.mp4,1,5,take,bag\na.mp4,6,9,take,bag\n".encode()),)
    videos = PredictedVideos({own["video"]: own["name"], video_of("a.mp4"): "a.mp4"}, files)
    actions = {own.video: (own.start_seconds, own.verb_class) for own in labelled_intervals(shelf, ROOT, videos).intervals}
    assert actions == {own["video"]: (1, 0), video_of("a.mp4"): (6, 0)}
    assert listed(shelf, "b.mp4") == [("b.mp4", 0, 4, 1, 26)]


def test_a_file_beside_the_videos_means_that_of_its_folder_where_others_have_the_same_name(shelf):
    days = {f"day {number}/film.mp4": video_of(f"day {number}.mp4") for number in (1, 2)}
    taken_in(shelf, ["day 1.mp4", "day 2.mp4"])
    beside = videos_beside(
        ["day 1/labels.csv"], [SeenFile(name=name, etag="", size_bytes=1, video=film, reason=None) for name, film in days.items()]
    )
    files = [AnnotationFile("day 1/labels.csv", f"{INTERVALS}film.mp4,1,5,take,bag\n".encode(), beside=beside["day 1/labels.csv"])]
    videos = PredictedVideos({film: name for name, film in days.items()}, tuple(files))
    assert [own.video for own in labelled_intervals(shelf, ROOT, videos).intervals] == [video_of("day 1.mp4")]


def test_a_job_of_cvat_beside_the_videos_is_of_the_one_that_it_is_called_like(shelf):
    boxes = '<box frame="0" outside="0"/><box frame="60" outside="1"/>'
    job = f'<annotations><meta><job><id>1</id></job></meta><track label="put meat">{boxes}</track></annotations>'
    files = (AnnotationFile("a.xml", job.encode()),)
    (own,) = labelled_intervals(shelf, ROOT, predicted("a.mp4", files=files)).intervals
    assert (own.video, own.start_seconds) == (video_of("a.mp4"), 0)


def test_a_file_of_the_store_never_labels_a_predicted_video_by_the_name_it_was_given(shelf):
    taken_in(shelf, ["c-0123456789ab.mp4"])
    annotate(shelf, 1, "c.mp4,0,4,put,meat\n")
    assert labelled_intervals(shelf, ROOT, PredictedVideos({video_of("c-0123456789ab.mp4"): "c.mp4"})).intervals == ()


def test_bad_lines_of_a_file_beside_the_videos_are_told(shelf, caplog):
    assert listed(shelf, "a.mp4", one="a.mp4,4,0,put,meat\n" * 8, two="z.mp4,0,4,put,meat\n") == []
    assert "not scored against: beside the videos/one.csv line 2: " in caplog.text
    assert "and 3 more such lines or files" in caplog.text
    assert "no line of two.csv names one of these videos" in caplog.text


@pytest.mark.slow
def test_a_child_with_limits_labels_as_this_process_does(shelf, monkeypatch):
    taken_in(shelf, ["a.mp4", "mince tofu/b.mp4"])
    annotate(shelf, 1, "a.mp4,0,4,naschen,M\u00fcsli\na.mp4,9,8,put,meat\n")
    server = S3Server()
    server.buckets["retake"] = {uri.removeprefix(f"{ROOT}/"): data for uri, data in shelf.objects.items()}
    variables = {"ENDPOINT": f"127.0.0.1:{server.server_port}", "ACCESS_KEY": "access", "SECRET_KEY": "secret-key"}
    for name, value in variables.items():
        monkeypatch.setenv(f"RETAKE_STORE_{name}", value)
    options = SegmentOptions(), LabelOptions()
    with in_thread(server):
        read = labelled_in_child(shelf, ROOT, *options)
        assert read == labelled_by_files(shelf, ROOT, *options)
        assert (len(read.clips), len(read.problems)) == (2, 1)
        with pytest.raises(BadInput, match="no clips in s3://retake"):
            labelled_in_child(shelf, ROOT, SegmentOptions(clip_seconds=3), LabelOptions())
        server.refusals["GET"] = [(403, "AccessDenied")]
        with pytest.raises(Unavailable, match="refuses"):
            labelled_in_child(shelf, ROOT, *options)
        for limit, value in (("CHILD_BYTES", 16 << 20), ("CHILD_SECONDS", 0.1), ("MAX_ANSWER", 100)):
            with monkeypatch.context() as patch, pytest.raises(BadInput, match=r"take more than|too many"):
                patch.setattr(gather_labels, limit, value)
                labelled_in_child(shelf, ROOT, *options)


LIMITS = "take more than 300 seconds or 1024 MiB"


@pytest.mark.parametrize(
    ("status", "text", "reason", "is_logged"),
    [
        (1, "Traceback\n  File\nKeyError: 'verb'\n", "cannot be read (KeyError: 'verb')", True),
        (1, "Traceback\n  File\nMemoryError\n", LIMITS, False),
        (1, "object type name: MemoryError\nlost sys.stderr\n", LIMITS, False),
        (1, "OSError: [Errno 12] Cannot allocate memory: '/tasks'\n", LIMITS, False),
        (1, "SystemError: error return without exception set\n", LIMITS, False),
        (1, "SystemError: <function _find_and_load at 0x7fe8> returned NULL without setting an exception\n", LIMITS, False),
        (1, "ImportError: /lib/_csv.so: failed to map segment from shared object\n", LIMITS, False),
        *((status, "", LIMITS, False) for status in (-9, None)),
    ],
)
def test_a_child_that_fails_is_named_by_its_fault_and_only_a_limit_by_the_limits(monkeypatch, caplog, status, text, reason, is_logged):
    monkeypatch.setattr(gather_labels, "run_child", lambda *_, read, **__: (status, read(StringIO(text))))
    with pytest.raises(BadInput, match=re.escape(f"the label files of {ROOT} {reason}")):
        labelled_in_child(None, ROOT, SegmentOptions(), LabelOptions())
    assert ("Traceback" in caplog.text) == is_logged
