"""Footage of a stand-in for Frigate, which answers as its API of exports does."""

import json
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer

import pytest

from tasks.data.clips import frigate
from tasks.data.clips.frigate import recorded_hours
from tasks.data.labels.recordings import camera_groups
from tasks.errors import BadInput, NothingToDo, Unavailable
from tasks.pipeline.ingest_videos import ingest
from tasks.pipeline.ingest_videos.contract import INGEST, IngestArguments
from tasks.store.layout import Layout
from tests.http_servers import Answering, in_thread
from tests.pipeline.shelf import Shelf

STORE = "s3://retake"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Frigate:
    """The recordings of a camera by their hours, and the exports of the server, which are done after they were asked for once."""

    def __init__(self, film):
        self.film, self.hours, self.exports, self.asked = film, [NOON, NOON + timedelta(hours=1)], {}, []
        self.failing, self.removes_many = set(), True

    def answer(self, method, path, body):
        route = path.partition("?")[0].strip("/").split("/")
        match method, *route:
            case "GET", "api", "front", "recordings", "summary":
                days = {}
                for hour in reversed(self.hours):
                    days.setdefault(f"{hour:%Y-%m-%d}", []).append({"hour": f"{hour:%H}", "duration": 3600, "events": 0})
                return 200, [{"day": day, "events": 0, "hours": hours} for day, hours in days.items()]
            case "POST", "api", "export", "front", "start", start, "end", end:
                self.asked.append((int(start), int(end)))
                export = {"id": f"front_{len(self.asked)}", "camera": "front", "name": body["name"], "date": 1.0, "thumb_path": ""}
                self.exports[export["id"]] = export | {"in_progress": True, "video_path": f"/media/frigate/exports/front {start}.mp4"}
                return 200, {"success": True, "message": "Starting export of recording.", "export_id": export["id"]}
            case "GET", "api", "exports":
                listed = list(map(dict, self.exports.values()))
                done = (export | {"in_progress": False} for export in listed if export["name"] not in self.failing)
                self.exports = {export["id"]: export for export in done}
                return 200, listed
            case "GET", "exports", name:
                start = name.removeprefix("front%20").removesuffix(".mp4")
                return 200, self.film + start.encode()
            case "POST", "api", "exports", "delete" if self.removes_many:
                return 200, [self.exports.pop(name) for name in body["ids"]]
            case "DELETE", "api", "export", name:
                return 200, self.exports.pop(name)
        return 404, {"success": False, "message": f"{path} is not there"}


@contextmanager
def served(recorder):
    class Handler(Answering):
        def respond(self):
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "null")
            status, content = recorder.answer(self.command, self.path, body)
            self.answer(status, content if isinstance(content, bytes) else json.dumps(content).encode())

        do_GET = do_POST = do_DELETE = respond

    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


@pytest.fixture
def recorder(film_of):
    return Frigate(film_of(1))


@pytest.fixture
def address(recorder, monkeypatch):
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setattr(frigate, "POLL_SECONDS", 0)
    # Asked by one thread alone, the stand-in shows each failing export to the thread that waits for it.
    monkeypatch.setattr(ingest, "NUM_THREADS", 1)
    with served(recorder) as address:
        yield f"frigate+{address}/front"


def take_in(store, *sources, **options):
    arguments = IngestArguments(store=STORE, sources=list(sources), out=f"{STORE}/ingests/x/", **options)
    ingest.run(arguments, store)
    return store.read(INGEST.address(arguments).inventory).files


def test_each_new_hour_is_exported_once_and_its_name_tells_camera_and_time(address, recorder):
    store = Shelf()
    first = take_in(store, f"{address}/2026-05-01T12:30")
    assert [file.name for file in first] == ["front-20260501120000.mp4", "front-20260501130000.mp4"]
    times = [int((NOON + timedelta(hours=hours)).timestamp()) for hours in range(3)]
    assert sorted(recorder.asked) == [tuple(times[:2]), tuple(times[1:])]
    assert not recorder.exports
    recorder.hours.append(NOON + timedelta(hours=2))
    with served(recorder) as other:
        assert len(take_in(store, f"{address}/2026-05-01T12:10", f"frigate+{other}/front/2026-05-01T11:00Z")) == 3
    assert len(recorder.asked) == 3
    groups = set(camera_groups([store.read(Layout(STORE).video(file.video).probe) for file in first]).values())
    assert groups == {(("camera", "front"), ("recorded_at", "2026-05-01"))}


def test_an_hour_that_is_not_over_waits(address, recorder):
    now = datetime.now(UTC)
    recorder.hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours) for hours in (2, 0)]
    (hour,) = recorded_hours(f"{address}/2026-05-01", allow_private=True)
    assert hour.before - hour.after == timedelta(hours=1)


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        ("2026-05-01T12:00/2026-05-01T12:20", ["12:00-13:00"]),
        ("2026-05-01T14:30+02:00/2026-05-01T13:10Z", ["12:00-13:00", "13:00-14:00"]),
        ("2026-05-01T13:30/", ["13:00-14:00"]),
        ("2026-05-02", []),
    ],
)
def test_hours_that_the_times_touch_are_taken_whole(address, times, hours):
    touched = recorded_hours(f"{address}/{times}", allow_private=True)
    assert [f"{hour.after:%H:%M}-{hour.before:%H:%M}" for hour in touched] == hours


@pytest.mark.parametrize(("film", "told"), [(b"no video", "damaged"), (bytes(1 << 20), "larger than the limit of 1 MiB"), (None, None)])
def test_an_hour_is_exported_once_whether_it_can_be_used_and_though_the_recorder_was_off(address, recorder, monkeypatch, film, told):
    recorder.film = film or recorder.film
    monkeypatch.setenv("RETAKE_SOURCES", json.dumps({STORE: [f"{address}/2026-05-01T12:00/2026-05-01T13:00"]}))
    store, answer = Shelf(), recorder.answer
    for is_off in (False, False, True, False):
        recorder.answer = (lambda *_: (503, {})) if is_off else answer
        reason = "503" if is_off else told
        with pytest.raises(NothingToDo, match=reason) if reason else nullcontext():
            take_in(store, max_video_mib=1)
    assert len(recorder.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"[" * 200_000,
        [{"day": "2026-05-01", "hours": [{"hour": 10**12, "duration": 1}]}],
        [{"day": "9999-12-31", "hours": [{"hour": 23, "duration": 1}]}],
    ],
    ids=["deep", "late", "last"],
)
def test_an_odd_answer_keeps_no_other_source_waiting(address, recorder, monkeypatch, film_of, answer):
    monkeypatch.setenv("RETAKE_SOURCES", json.dumps({STORE: [f"{address}/2026-05-01"]}))
    recorder.answer = lambda *_: (200, answer)
    store = Shelf()
    store.write_bytes(Layout(STORE).inbox.file("a.mp4"), film_of(1))
    assert [file.name for file in take_in(store) if file.video] == ["a.mp4"]


def test_a_failed_export_is_set_aside_and_tried_again(address, recorder, monkeypatch):
    recorder.failing.add("Retake front-20260501120000 3600 s")
    monkeypatch.setenv("RETAKE_SOURCES", json.dumps({STORE: [f"{address}/2026-05-01T12:00/2026-05-01T14:00"]}))
    store = Shelf()
    reasons = [file.reason for file in take_in(store)]
    assert "export failed" in reasons[0]
    assert reasons[1:] == [None]
    recorder.failing, recorder.removes_many = set(), False
    assert all(file.video for file in take_in(store))
    assert not recorder.exports


def test_the_export_of_an_interrupted_ingest_is_found(address, recorder, monkeypatch):
    source = f"{address}/2026-05-01T12:00/2026-05-01T13:00"
    monkeypatch.setattr(frigate, "EXPORT_SECONDS", -1)
    with pytest.raises(BadInput, match="has not finished the export"):
        take_in(Shelf(), source)
    monkeypatch.setattr(frigate, "EXPORT_SECONDS", 20)
    assert take_in(Shelf(), source)[0].video
    assert len(recorder.asked) == 1


@pytest.mark.parametrize(
    "path",
    [
        *("nvr", "nvr/front", "nvr:5000/2026-05-01", "/front/2026-05-01", "nvr/front/2026-05-01?token=x", "nvr/a%2Fb/2026-05-01"),
        "nvr/front/0001-01-01T00:00+05:00",
        *("nvr/front/noon", "nvr/front/2026-05-01/noon", "nvr/front/2026-05-32", "nvr/front/2026-05-01/2026-05-02/2026-05-03"),
    ],
)
def test_an_address_that_names_no_footage_is_refused_with_an_example(path):
    with pytest.raises(BadInput, match=r"write .*/CAMERA/2026-05-01T08:00"):
        list(recorded_hours(f"frigate+http://{path}", allow_private=True))


def test_a_private_address_is_refused_unasked_unless_it_is_allowed(address, recorder, monkeypatch):
    monkeypatch.delenv("RETAKE_ALLOW_PRIVATE_ADDRESSES")
    recorder.answer = lambda *_: (503, {})
    with pytest.raises(BadInput, match="RETAKE_ALLOW_PRIVATE_ADDRESSES"):
        take_in(Shelf(), f"{address}/2026-05-01")


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ((404, {}), BadInput, "404"),
        ((200, {"hello": "world"}), BadInput, r"is it Frigate 0\.14 or later"),
        ((503, {}), Unavailable, "503"),
        (None, Unavailable, "does not answer"),
    ],
)
def test_a_recorder_that_is_away_or_no_frigate_is_told(address, recorder, answer, error, told):
    recorder.answer = lambda *_: answer
    asked = address if answer else "frigate+http://127.0.0.1:9/front"
    with pytest.raises(error, match=told):
        list(recorded_hours(f"{asked}/2026-05-01", allow_private=True))


def test_without_a_new_hour_there_is_nothing_to_take(address, recorder):
    recorder.hours = []
    with pytest.raises(BadInput, match="no finished hour with recordings between these times"):
        take_in(Shelf(), f"{address}/2026-05-01")
