"""The page over HTTP, on a store in memory: who may do what, and what people see and say."""

import asyncio
import hashlib
import json
from datetime import timedelta
from threading import Event

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

from tasks.data.clips.label_inputs import read_log
from tasks.keys import recipe_of
from tasks.options import GateOptions, SegmentOptions
from tasks.pages.label.app import make_app
from tasks.pages.label.handlers import _gate_words
from tasks.pages.label.page_data import PageData
from tasks.pages.label.queue import LEASE_SECONDS
from tasks.pipeline.build_dataset import label
from tasks.pipeline.build_dataset.contract import LabelArguments
from tasks.predict.output_files import INTERVAL_COLUMNS
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult, LabelsFile
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.training import Evaluation
from tasks.store.run_layout import Scores
from tests.pages.label.page import MAY_LOOK, STORE, WRITE, PageStore, Visitor, audit, list_clips, person, scored, suggest, write_many
from tests.pipeline.shelf import RUN, plan_result, weights_result

EMPTY = "s3://retake-empty"
FILM = f"{STORE}/film.mp4"
PATHS = ("/", "/state", "/queue", "/review", "/classes", "/videos/x", "/static/label.js", "/clips/000000000000_000000000-000001000.mp4")


@pytest.fixture
def store() -> PageStore:
    """Eight clips of four videos, which nobody has labelled."""
    made = PageStore({FILM: b"\0\0\0\x20ftyp"})
    list_clips(made, [FILM], [f"film_{number}.mp4" for number in range(4)], 2, SegmentOptions())
    return made


@pytest.fixture
def anna(store) -> Visitor:
    return Visitor(store)


@pytest.fixture
def ben(store) -> Visitor:
    return Visitor(store, "ben")


@pytest.fixture
def uid(anna) -> str:
    return anna.queue()[0]["uid"]


@pytest.fixture
def video(anna) -> str:
    return anna.get("/state")["videos"][0]["video"]


def statement(uid: str, /, **changes) -> str:
    """A statement about a clip as a page sends it."""
    return json.dumps({"kind": "clip", "token": "00000000-0002", "uid": uid, "answer": "nothing"} | changes)


def labels(store) -> dict[str, tuple[str, str]]:
    """The labels that the next build makes of the statements, by uid."""
    label.run(LabelArguments(store=STORE), store)
    clips = store.read(Layout(STORE).labels(recipe_of(SegmentOptions())).clips.uri, LabelsFile).clips
    return {labelled.clip.uid: (labelled.verb, labelled.noun) for labelled in clips if labelled.verb}


def test_a_stranger_sees_nothing_nor_does_a_login_that_is_too_long_to_sign_with(store):
    client = Visitor(store, None).client
    assert {path: client.get(path).status_code for path in PATHS} == dict.fromkeys(PATHS, 401)
    login = client.get("/", headers={"accept": "text/html"})
    assert (login.status_code, 'src="static/login.js"' in login.text) == (401, True)
    assert "api/v2/auth/login?next=" in client.get("/static/login.js").text
    assert "_top" in client.get("/static/lead_out.js").text
    too_long = Visitor(store, "anna" * 51).client.get("/queue")
    assert (too_long.status_code, "204 characters" in too_long.text) == (403, True)


@pytest.mark.parametrize(
    ("who", "headers", "changes", "status"),
    [
        (None, WRITE, {}, 401),
        (MAY_LOOK, WRITE, {}, 403),
        ("anna" * 51, WRITE, {}, 403),
        ("anna", {}, {}, 403),
        ("anna", WRITE, {"verb": "x" * 20_000}, 413),
        ("anna", WRITE | {"content-type": "text/plain"}, {}, 422),
        *(
            ("anna", WRITE, {name: value}, 422)
            for name, values in {
                "by": ("ben",),
                "uid": ("../../videos",),
                "verb": ("=cmd()", "x" * 65, None, "nothing"),
                "noun": ("<img src=x>",),
                "answer": ("nothing", "nobody"),
                "token": ("../x",),
            }.items()
            for value in values
        ),
    ],
)
def test_what_may_not_be_said_is_refused_and_not_written(store, anna, uid, who, headers, changes, status):
    said = statement(uid, **{"answer": "action", "verb": "put", "noun": "meat"} | changes)
    headers = {"content-type": "application/json", "cookie": f"who={who}" if who else "", **headers}
    assert anna.client.post("/statements", content=said, headers=headers).status_code == status
    assert read_log(store, STORE) == []


def test_a_statement_about_what_nobody_has_said_is_refused_for_ever(store, anna, ben, video):
    span = {"kind": "interval", "video": video, "start_seconds": 0, "stop_seconds": 1, "verb": "put", "noun": "meat"}
    assert anna.post(kind="withdrawal", withdrawn="nobody-said-it").status_code == 404
    assert anna.post(**span, replaces="nobody-said-it").status_code == 404
    assert ben.post(**span).status_code == anna.post(**span, replaces="ben-00000000").status_code == 200
    assert len(read_log(store, STORE)) == 2


@pytest.mark.parametrize(
    ("text", "bad"),
    [('"start_seconds": 0', '"start_seconds": NaN'), ("1.5", "1e400"), ('"put"', '"\\ud800"'), ('"n"', '"\\udfff"'), ("{", "")],
)
def test_what_json_cannot_say_is_refused(store, anna, video, text, bad):
    suggested = {"verb": "n", "noun": "n", "probability": 1, "shown": True}
    statement = {"kind": "interval", "token": "00000000-0003", "video": video, "start_seconds": 0, "stop_seconds": 1.5, "verb": "put"}
    body = json.dumps({**statement, "noun": "meat", "suggested": suggested}).replace(text, bad)
    answer = anna.client.post("/statements", content=body, headers={"content-type": "application/json", **WRITE})
    assert (answer.status_code, type(answer.json()["detail"])) == (422, str)
    assert read_log(store, STORE) == []


def test_what_the_store_holds_and_nobody_can_read_refuses_no_statement_for_ever(store, anna, ben, uid):
    anna.say(uid, "put meat")
    anna.queue()
    for damaged in ("00000000.json", f"lent/{hashlib.sha256(b'anna').hexdigest()[:16]}.json"):
        assert store.exists(f"{STORE}/label_log/{damaged}")
        store.write_bytes(f"{STORE}/label_log/{damaged}", b"{}")
    ben.say(uid, "take bag")
    assert [clip["uid"] for clip in ben.queue(show="labelled")] == [uid]
    assert labels(store) == {uid: ("take", "bag")}
    (hint,) = store.read(Layout(STORE).labels(recipe_of(SegmentOptions()))).first_hints[:1]
    assert hint.startswith(f"{STORE}/label_log/00000000.json is not a LogEntry")
    for probe in [uri for uri in store.objects if uri.endswith("probe.json")]:
        store.write_bytes(probe, b"{}")
    client = TestClient(make_app([PageData(store, STORE)], person, second_share=0), headers={"cookie": "who=anna", **WRITE})
    assert client.post("/statements", json={"kind": "clip", "uid": uid, "token": "00000000-0001", "answer": "unsure"}).status_code == 503


def beside(app, who: str | None = "anna") -> AsyncClient:
    """A client whose requests run beside others."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://page", headers={"cookie": f"who={who}"} if who else {})


def posted(app, who: str | None, body, path="/statements"):
    """Begin to post a statement beside others; `body` yields its bytes when they come."""
    headers = {"content-type": "application/json", "content-length": "99", **WRITE}
    return asyncio.ensure_future(beside(app, who).post(path, content=body, headers=headers))


def test_who_sends_a_statement_slowly_keeps_nobody_waiting(anna, uid, monkeypatch):
    app, body = anna.client.app, statement(uid).encode()
    monkeypatch.setattr("tasks.pages.label.app.BODY_SECONDS", 600)

    async def statuses():
        begun, all_begun, over = [], asyncio.Event(), asyncio.Event()

        async def slowly():
            begun.append(1)
            if len(begun) == len(slow):
                all_begun.set()
            yield b"{"
            await over.wait()

        slow = [posted(app, "anna", slowly()) for _ in range(30)]
        await asyncio.wait([asyncio.ensure_future(all_begun.wait()), *slow], return_when=asyncio.FIRST_COMPLETED)
        others = [(await posted(app, *post)).status_code for post in ((None, slowly()), (MAY_LOOK, slowly()), ("anna", body))]
        assert len(begun) == len(slow), "nothing is read of who may not write"
        over.set()
        await asyncio.gather(*slow)
        over.clear()
        monkeypatch.setattr("tasks.pages.label.app.BODY_SECONDS", 0.01)
        return [*others, (await posted(app, "anna", slowly())).status_code]

    assert asyncio.run(statuses()) == [401, 403, 200, 408]


def test_all_stores_share_the_threads_of_the_page_and_reads_do_not_wait_for_writes(store, uid, monkeypatch):
    monkeypatch.setattr("tasks.pages.web.TURN_SECONDS", 0.01)
    monkeypatch.setattr("tasks.pages.label.app.MAX_WRITES", 1)
    app, at_work, go_on = Visitor(store, store_uris=(STORE, STORE)).client.app, Event(), Event()
    body, create = statement(uid).encode(), store.create_bytes

    def slow(uri, data):
        at_work.set()
        assert go_on.wait(20)
        return create(uri, data)

    monkeypatch.setattr(store, "create_bytes", slow)

    async def statuses():
        first = posted(app, "anna", body, "/stores/1/statements")
        assert await asyncio.to_thread(at_work.wait, 20)
        other = await posted(app, "anna", body)
        read = await beside(app).get("/static/label.js")
        go_on.set()
        return [other.status_code, read.status_code, (await first).status_code]

    assert asyncio.run(statuses()) == [503, 200, 200]


def test_reads_have_a_limit_and_who_waits_for_the_first_view_is_not_at_work(store, uid, monkeypatch):
    monkeypatch.setattr("tasks.pages.web.TURN_SECONDS", 0.01)
    for name, value in (("MAX_READS", 1), ("WAIT_SECONDS", 600)):
        monkeypatch.setattr(f"tasks.pages.label.app.{name}", value)
    at_work = {name: (Event(), Event()) for name in ("folders", "read_bytes")}

    def slow(name):
        do, (begun, go_on) = getattr(store, name), at_work[name]

        def wait(uri):
            if name == "folders" or uri == FILM:
                begun.set()
                assert go_on.wait(20)
            return do(uri)

        monkeypatch.setattr(store, name, wait)

    async def statuses():
        seen = []
        for path, name in (("/state", "folders"), ("/queue", "folders"), (f"/clips/{uid}.mp4", "read_bytes")):
            if name == "folders" or not seen:
                app = make_app([PageData(store, STORE)], person, 0)
            client = beside(app)
            slow(name)
            first, (begun, go_on) = asyncio.ensure_future(client.get(path)), at_work[name]
            assert await asyncio.to_thread(begun.wait, 20)
            other = await client.get("/static/label.js")
            go_on.set()
            seen.append((other.status_code, (await first).status_code))
        return seen

    assert asyncio.run(statuses()) == [(200, 200), (200, 200), (503, 200)]


def test_every_answer_forbids_other_scripts(anna):
    for path in ("/", "/state", "/static/label.css", "/nowhere"):
        headers = anna.client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/static/label.js"])
def test_airflows_compression_leaves_every_answer_readable(store, path):
    app = make_app([PageData(store, STORE)], person, second_share=0)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    client = TestClient(app, headers={"cookie": "who=anna"})
    assert client.get(path).text == client.get(path).text


def test_a_clip_is_a_film_that_the_browser_keeps_and_what_is_not_there_is_not_found(store, anna, uid):
    film = anna.client.get(f"/clips/{uid}.mp4")
    assert film.headers["content-type"] == "video/mp4"
    assert "immutable" in film.headers["cache-control"]
    assert film.content[4:8] == b"ftyp"
    del store.objects[FILM]
    absent = ("/clips/000000000000_000000000-000001000.mp4", "/clips/x.mp4", "/clips/x", "/videos/x", f"/clips/{uid}.mp4")
    assert {anna.client.get(path).status_code for path in absent} == {404}


def built(visitor):
    return tuple(visitor.get("/build")[name] for name in ("store", "num_clips", "num_new", "last_recipe", "last_estimate"))


def test_labels_of_the_page_reach_the_build_and_the_latest_wins(store, anna):
    first, second, third = [clip["uid"] for clip in anna.queue()][:3]
    anna.say(first, "put meat")
    anna.say(first, "Take  Sauce\n")
    anna.say(second, None, answer="nothing")
    anna.say(third, None, answer="unsure")
    assert built(anna) == (STORE, 2, 2, "", "")
    assert anna.get("/build")["gate"].endswith("10 clips in val or test, so about 45 labelled clips before a champion is replaced.")
    assert labels(store) == {first: ("take", "sauce"), second: ("nothing", "(none)")}
    planned = plan_result(weights=weights_result(chosen="auto: a probe on lite0, for no GPU"), expected_seconds=40)
    store.write(Layout(STORE).latest_plan, planned)
    sizes = {"num_clips": {"train": 26, "val": 7}, "num_sources": {}, "num_classes": {}, "num_unlabelled": 0, "warnings": ()}
    store.write(Layout(STORE).latest_dataset, DatasetResult(digest="d", dataset_uri=f"{STORE}/datasets/d/", **sizes))
    cleo = Visitor(store, "cleo")
    assert "about 47 labelled clips" in cleo.get("/build")["gate"]
    tested = {"num_clips": {"train": 75, "val": 5, "test": 20}, "num_sources": {"train": 9, "val": 3, "test": 3}}
    for acting, needed in (({}, 56), (tested["num_sources"], 56), ({"train": 9, "val": 3, "test": 2}, 130)):
        result = DatasetResult(digest="d", dataset_uri="", **sizes | tested, num_acting_sources=acting)
        assert f"so {needed} labelled" in _gate_words(GateOptions(), result, 2).replace("about ", "")
        assert bool(_gate_words(GateOptions(), result, 99)) == (needed > 99), "some labels of the dataset may have been taken back"
    assert built(cleo)[:4] == (STORE, 2, 0, "auto: a probe on lite0")
    seen_before = "; less where clips were seen before"
    assert built(cleo)[4] == f"expected: 40 s for the training alone, without test and report{seen_before}"
    store.write(Layout(STORE).latest_plan, planned.model_copy(update={"test_seconds": 70}))
    assert built(cleo)[4] == f"expected: 40 s for the training, about 1 min 10 s for scoring, without report{seen_before}"
    cleo.say(third, "put meat")
    assert built(cleo)[1:3] == (3, 1)
    cleo.say(third, None, answer="unsure")
    counts = Visitor(store).get("/state")["counts"]
    assert (counts["num_labelled"], counts["num_nothing"], counts["num_unsure"], counts["num_mine"]) == (2, 1, 1, 3)


@pytest.mark.parametrize("wrong", ["2001-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"])
def test_of_page_and_file_the_later_wins_whatever_the_clock_of_the_page_says(store, anna, uid, monkeypatch, wrong):
    monkeypatch.setattr("tasks.pages.label.handlers.now_utc", lambda: wrong)
    for words, number in (("put meat", 1), ("take bag", 2)):
        anna.say(uid, words)
        assert labels(store) == {uid: tuple(words.split())}
        store.write_bytes(f"{STORE}/annotations/{number}.csv", f"uid,verb,noun\n{uid},move,sauce\n".encode())
        assert labels(store) == {uid: ("move", "sauce")}


def test_a_page_that_knows_the_state_is_told_no_more_until_something_is_new(store, anna, uid):
    version = anna.get("/state")["version"]
    assert anna.get("/state", known=version) == {"version": version}
    anna.say(uid, "put meat")
    assert anna.get("/state", known=version)["counts"]["num_labelled"] == 1
    version = anna.get("/state")["version"]
    labels(store)
    list_clips(store, [FILM], ["new.mp4"], 2, SegmentOptions())
    assert Visitor(store).get("/state", known=version)["counts"]["num_clips"] == 10


def test_a_statement_that_is_sent_again_is_written_once(store, anna, uid):
    said = json.loads(statement(uid))
    assert {visitor.post(**said).json()["number"] for visitor in (anna, anna, Visitor(store))} == {1}
    assert len(read_log(store, STORE)) == 1


def test_a_second_reader_sees_nothing_that_was_said_of_the_clip_until_they_answer(store, anna, ben, video):
    first, second = anna.get(f"/videos/{video}")["clips"]
    uid, both = first["uid"], [first["start_seconds"], second["start_seconds"]]
    anna.say(uid, "put meat")
    for clip in (first, second):
        anna.mark(video, clip["start_seconds"], clip["stop_seconds"], "put meat")

    def seen(visitor):
        shown, review = visitor.get(f"/videos/{video}"), visitor.get("/review", name="put meat")
        starts = [interval["start_seconds"] for interval in shown["intervals"]]
        return starts, shown["num_hidden"], len(review["rows"]), review["num_hidden"], len(visitor.queue(show="all", name="put meat"))

    viewer = Visitor(store, MAY_LOOK)
    assert (viewer.get("/state")["may_write"], anna.get("/state")["may_write"]) == (False, True)
    assert seen(anna) == seen(viewer) == (both, 0, 3, 0, 2)
    assert seen(ben) == ([second["start_seconds"]], 2, 1, 2, 1)
    (again,) = [clip for clip in ben.queue() if clip["reading"] == "second"]
    assert (again["uid"], again["label"], again["answer"]) == (uid, None, None)
    assert "meat" not in json.dumps([again, ben.get(f"/clips/{uid}")])
    ben.say(uid, "take meat", reading="second")
    assert seen(ben)[:2] == (both, 0)
    assert uid not in [clip["uid"] for clip in ben.queue()]
    review = anna.get("/review", show="conflicts")
    assert [row["uid"] for row in review["rows"]] == [uid]
    assert review["rows"] == anna.get("/review", show="second")["rows"]
    assert review["agreement"]["num_clips"] == 1


@pytest.mark.parametrize("by", ["an interval", "a file", "another cut"])
def test_a_second_reader_learns_nothing_from_the_clip_beside_it(store, by):
    [cut] = list_clips(store, [FILM], ["film_0.mp4"], 2, SegmentOptions())
    [longer] = list_clips(store, [FILM], ["film_0.mp4"], 1, SegmentOptions(clip_seconds=16))
    anna, ben, cleo = (Visitor(store, name) for name in ("anna", "ben", "cleo"))
    first, second = (clip.uid for clip in cut.clips)
    for visitor in (anna, ben):
        visitor.say(second, "put meat")
    anna.say(first, "take bag")
    if by == "an interval":
        anna.mark(cut.video, 0, 16, "take bag")
    elif by == "another cut":
        for visitor in (anna, cleo):
            visitor.say(longer.clips[0].uid, "take bag")
    else:
        file = "video,start_seconds,stop_seconds,verb,noun\nfilm_0.mp4,0,16,take,bag\n"
        store.write_bytes(Layout(STORE).annotations.file("b.csv"), file.encode())
        labels(store)
        anna, ben = Visitor(store, "anna"), Visitor(store, "ben")

    def learns(visitor):
        said = {"kind": "clip", "uid": second, "answer": "action", "verb": "put", "noun": "meat"}
        asked = [visitor.get(path) for path in ("/review", f"/videos/{cut.video}", f"/clips/{second}")]
        asked += [visitor.get("/review", show="conflicts"), visitor.post(**said).json()]
        seen = [answer.get(key) for answer in asked for key in ("rows", "labels", "intervals", "conflicts", "conflict")]
        return "bag" in json.dumps([seen, *(visitor.queue(show=show) for show in ("all", "labelled", "conflicts"))])

    assert (learns(anna), learns(ben)) == (True, False)
    ben.say(first, "move pan", reading="second")
    assert learns(ben)


def test_labels_of_folders_and_files_are_shown_with_those_of_the_page(store):
    video = list_clips(store, [FILM], ["take bag/a.mp4"], 3, SegmentOptions())[0]
    store.write_bytes(Layout(STORE).annotations.file("b.csv"), f"uid,verb,noun\n{video.clips[2].uid},put,beef\n".encode())
    labels(store)
    anna, first, span = Visitor(store), video.clips[0], ("start_seconds", "stop_seconds", "verb", "noun", "by")
    anna.say(first.uid, "move pan")
    anna.post(kind="class", target="noun", name="beef", same_as="meat")
    expected = [(0, 8, "move", "pan", "anna"), (0, 16, "take", "bag", "folder take bag"), (16, 24, "put", "meat", "b.csv:2")]
    shown = anna.get(f"/videos/{video.video}")["labels"]
    assert [tuple(label[key] for key in span) for label in shown] == expected
    assert all(label["at"] for label in shown)
    rows = anna.get("/review", video=video.video)["rows"]
    assert sorted(tuple(row[key] for key in span) for row in rows) == sorted(expected)
    assert [row["kind"] for row in anna.get("/review", show="files", name="take bag")["rows"]] == ["file"]
    ben = Visitor(store, "ben")
    assert [label["by"] for label in ben.get(f"/videos/{video.video}")["labels"]] == ["b.csv:2"]
    assert [row["by"] for row in ben.get("/review", video=video.video)["rows"]] == ["b.csv:2"], "he is to read the first clip"
    num_new = anna.get("/build")["num_new"]
    anna.say(video.clips[2].uid, None, answer="unsure")
    assert anna.get("/build")["num_new"] == num_new, "the file's label is not new"


def test_people_at_two_processes_have_different_clips_before_them(store, anna, ben, monkeypatch):
    vera = Visitor(store, MAY_LOOK)
    order = [clip["uid"] for clip in vera.queue()]
    mine = {clip["uid"] for clip in anna.get("/queue", limit=4)["clips"]}
    assert [clip["uid"] for clip in vera.queue()] == order, "who may only look sees the queue as it is, and takes no clip from others"
    assert {clip["uid"] for clip in ben.get("/queue", limit=4)["clips"]} == set(order) - mine
    more = {clip["uid"] for clip in anna.get("/queue", limit=4, skip=",".join(mine))["clips"]}
    assert len(mine | more) == 8
    assert {clip["uid"] for clip in Visitor(store, "cleo").queue()} == mine | more
    store.now += timedelta(seconds=LEASE_SECONDS)
    assert {clip["uid"] for clip in ben.get("/queue", limit=4)["clips"]} == mine, "hers are the first, and she has gone"
    listed = store.list
    monkeypatch.setattr(store, "list", lambda prefix: [] if "/lent/" in prefix else listed(prefix))
    assert anna.queue(), "a listing without the newest objects stops nobody"


def test_an_interval_labels_the_clips_that_it_covers(store, anna, video):
    clips = anna.get(f"/videos/{video}")["clips"]
    anna.mark(video, clips[0]["start_seconds"], clips[1]["stop_seconds"], "put meat")
    nowhere = {"video": "0" * 64, "start_seconds": 0, "stop_seconds": 1, "verb": "put", "noun": "meat"}
    assert anna.post(kind="interval", **nowhere).status_code == 404
    assert labels(store) == {clip["uid"]: ("put", "meat") for clip in clips}
    (interval,) = anna.get(f"/videos/{video}")["intervals"]
    assert interval["by"] == "anna"
    named = anna.queue(show="labelled", name="put meat")
    assert [(clip["label"]["verb"], clip["label"]["origin"]) for clip in named] == [("put", "anna")] * 2
    assert [row["token"] for row in anna.get("/review", show="intervals")["rows"]] == [interval["token"]]
    assert anna.post(kind="withdrawal", withdrawn=interval["token"]).json()["counts"]["num_labelled"] == 0
    assert anna.get("/review")["rows"] == anna.get(f"/videos/{video}")["intervals"] == []


def test_an_answer_and_an_interval_that_differ_are_in_conflict_until_somebody_who_knows_both_chooses(store, anna, ben, video):
    uid = anna.get(f"/videos/{video}")["clips"][0]["uid"]

    def mark(words: str, **fields):
        verb, noun = words.split()
        span = {"video": video, "start_seconds": 1, "stop_seconds": 7}
        return anna.post(kind="interval", **span, verb=verb, noun=noun, **fields).json()["conflicts"]

    def shown(visitor=anna) -> set[tuple[str, str, str]]:
        conflicts = [*visitor.get(f"/videos/{video}")["conflicts"], visitor.get(f"/clips/{uid}")["conflict"]]
        conflicts += [row["conflict"] for row in visitor.get("/review", show="conflicts")["rows"]]
        conflicts += [clip["conflict"] for clip in visitor.queue(show="conflicts")]
        assert visitor is ben or anna.get("/state")["counts"]["num_conflicts"] == any(conflicts)
        return {(conflict["answer"]["verb"], conflict["interval"]["verb"], conflict["holds"]) for conflict in conflicts if conflict}

    anna.say(uid, "put meat")
    assert [conflict["uid"] for conflict in mark("take bag")] == [uid]
    assert shown() == {("put", "take", "interval")}
    assert shown(ben) == set(), "he is to read the clip"
    anna.say(uid, "move pan")
    assert shown() == {("move", "take", "answer")}, "the page that said so did not know the interval"
    anna.say(uid, "put meat", over=anna.get(f"/clips/{uid}")["over"])
    assert shown() == set()
    assert labels(store)[uid] == ("put", "meat")
    assert mark("take sauce", replaces=anna.get(f"/clips/{uid}")["over"])
    anna.say(uid, "take sauce")
    assert shown() == set(), "both say the same"


def test_neighbouring_clips_of_one_suggestion_are_suggested_as_one_interval_unless_the_prediction_has_intervals(store):
    first, second = list_clips(store, [FILM], ["a.mp4", "b.mp4"], 8, SegmentOptions())
    suggest(store, [first, second])
    rows = [f"a.mp4,{first.video},champion,2.375,5.5,wipe,pan,wipe pan,126,40,0.83"]
    rows.append(f"a.mp4,{first.video},baseline,0,9,move,pan,move pan,9,40,0.9")
    store.write_bytes(Layout(STORE).prediction("test").report.intervals, "\n".join([",".join(INTERVAL_COLUMNS), *rows, ""]).encode())

    def suggested(video):
        keys = ("start_seconds", "stop_seconds", "verb", "noun", "probability")
        return [tuple(interval[key] for key in keys) for interval in Visitor(store).get(f"/videos/{video}")["predicted"]]

    assert suggested(first.video) == [(2.375, 5.5, "wipe", "pan", 0.83)]
    assert suggested(second.video) == [(0, 32, "put", "meat", 0.9), (32, 64, "take", "bag", 0.86)]


def test_videos_of_val_and_test_have_no_suggestions_and_the_log_says_which_clips_a_model_chose(store):
    """The build learns which videos a model chose clips of, and which labels were accepted."""
    cuts = list_clips(store, [FILM], ["train.mp4", "val.mp4", "new.mp4"], 4, SegmentOptions())
    suggest(store, cuts)
    train, val, new = cuts
    anna = Visitor(store)
    assert anna.get(f"/clips/{val.clips[0].uid}")["suggestions"]
    store.write_bytes(Layout(STORE).split_file, f"source,split\n{train.video},train\n{val.video},val\n".encode())
    anna = Visitor(store)
    seen = {clip["uid"]: clip for clip in anna.queue()}
    asked = [clip["video"] for clip in seen.values() if clip["reason"]]
    assert sorted(asked) == sorted([train.video, new.video] * 2)
    assert {clip["is_measured"] for clip in seen.values() if clip["suggestions"]} == {False}
    assert {clip["video"] for clip in seen.values() if clip["is_measured"]} == {val.video}
    assert anna.get(f"/videos/{val.video}")["predicted"] == []
    best = {**seen[new.clips[0].uid]["suggestions"][0], "shown": True}
    anna.say(new.clips[0].uid, f"{best['verb']} {best['noun']}", suggested=best)
    anna.say(train.clips[3].uid, "take bag")
    anna.say(val.clips[0].uid, "put meat")
    label.run(LabelArguments(store=STORE), store)
    built = store.read(Layout(STORE).labels(recipe_of(SegmentOptions())).clips.uri, LabelsFile)
    assert (built.chosen, built.accepted) == ((new.video,), (new.clips[0].uid,))
    anna.say(val.clips[1].uid, "take bag")
    assert [clip["video"] for clip in anna.queue(show="model-differs")] == [train.video]


def test_suggestions_and_names_that_look_alike_follow_a_renamed_class(store):
    [cut] = list_clips(store, [FILM], ["a.mp4"], 8, SegmentOptions())
    suggest(store, [cut], [("put", "four"), ("put", "flour")])
    anna, (first, second) = Visitor(store), (cut.clips[0].uid, cut.clips[4].uid)
    anna.say(first, "put flour")
    assert anna.get("/classes")["near"] == [{"target": "noun", "names": ["flour", "four"]}]
    assert [clip["uid"] for clip in anna.queue(show="model-differs")] == [first]
    assert anna.post(kind="class", target="noun", name="four", same_as="flour").status_code == 200
    assert anna.get("/classes")["near"] == anna.queue(show="model-differs") == []
    (of_clip,), (of_video,) = anna.get(f"/clips/{second}")["suggestions"], anna.get(f"/videos/{cut.video}")["predicted"]
    assert (of_clip["verb"], of_clip["noun"], of_clip["probability"]) == ("put", "flour", 0.86)
    assert (of_video["noun"], of_video["stop_seconds"]) == ("flour", 64)
    assert anna.post(kind="class", target="verb", name="put", same_as="nothing").status_code == 422
    assert anna.post(kind="class", target="verb", name="put", same_as="place").status_code == 200
    classes = anna.get("/classes")
    assert (classes["verbs"][0], [merge["name"] for merge in classes["merges"]]) == ({"name": "place", "num_clips": 1}, ["four", "put"])


def test_people_choose_among_ways_of_cutting(store):
    [longer] = list_clips(store, [FILM], ["film_9.mp4"], 1, SegmentOptions(clip_seconds=16))
    anna = Visitor(store)
    anna.say(anna.queue()[0]["uid"], "put meat")
    names = {cut["name"]: cut["cut"] for cut in anna.get("/state")["cuts"]}
    assert list(names) == ["8 s, 30 fps, 256 px (4 videos)", "16 s, 30 fps, 256 px (1 video)"]
    recipe = names["16 s, 30 fps, 256 px (1 video)"]
    state = anna.get("/state", cut=recipe)
    assert (state["cut"], state["counts"]["num_clips"], state["build_options"]["clip_seconds"]) == (recipe, 1, 16)
    assert [clip["uid"] for clip in anna.queue(cut=recipe)] == [longer.clips[0].uid]
    anna.say(longer.clips[0].uid, None, answer="nothing")
    assert read_log(store, STORE)[-1].statement.stop_seconds == 16
    assert anna.get(f"/clips/{longer.clips[0].uid}")["name"] == "film_9.mp4", "a link leads to a clip of any cut"
    assert [anna.get("/state", cut=cut)["counts"]["num_mine"] for cut in (recipe, "", "unknown")] == [1, 1, 1]


def test_the_page_of_an_empty_store_leads_to_one_with_clips(store):
    client = Visitor(store, store_uris=(EMPTY, STORE)).client
    assert client.get("/", follow_redirects=False).headers["location"] == "stores/1/"
    assert client.get("/stores/1/queue").json()["clips"]
    assert client.get("/queue").status_code == 503
    assert client.get("/state").json()["is_empty"]


def test_a_link_with_a_store_opens_the_page_of_that_store(store):
    client = Visitor(store, store_uris=(STORE, f"{STORE}-2", f"{STORE}/inner")).client
    pages = {f"{STORE}/datasets/1/": None, f"{STORE}-2/datasets/1/": "stores/1/", f"{STORE}/inner": "stores/2/"}
    for uri, page in (pages | {"s3://unknown/": None, "https://evil/": None}).items():
        assert client.get("/", params={"store": uri}, follow_redirects=False).headers.get("location") == page, uri


@pytest.mark.slow
def test_the_answers_about_twenty_thousand_clips_are_short():
    store = PageStore()
    write_many(store, [FILM])
    anna = Visitor(store)
    counts = anna.get("/state")["counts"]
    assert (counts["num_clips"], counts["num_labelled"]) == (20_000, 5000)
    for path in ("/state", "/classes", "/queue?limit=20", "/review"):
        assert len(anna.client.get(path).content) < 100_000, path


def doubt(uid):
    """Doubt `put meat`, and think `take bag` likely."""
    likely = {"likely_verb": "take", "likely_noun": "bag", "likely_probability": 0.91}
    return DoubtfulLabel(uid=uid, verb="put", noun="meat", probability=0.02, **likely)


@pytest.mark.slow
def test_a_suspicious_label_leaves_the_list_for_good_once_somebody_has_kept_or_changed_it(store):
    cut, measured = list_clips(store, [FILM], ["a.mp4", "val.mp4"], 8, SegmentOptions())
    store.write_bytes(Layout(STORE).split_file, f"source,split\n{cut.video},train\n{measured.video},val\n".encode())
    kept, changed, open_, other, of_val = (clip.uid for clip in (*cut.clips[:4], measured.clips[0]))
    doubtful = [doubt(uid) for uid in (of_val, open_, kept, changed, other, "gone")]
    anna = Visitor(store)
    for uid in (kept, changed, open_, of_val):
        anna.say(uid, "put meat")
    anna.say(other, "put potato")
    assert anna.queue(show="suspicious") == []
    audit(store, doubtful)

    def listed() -> list[str]:
        """The suspicious clips of a page that has just been opened."""
        return [clip["uid"] for clip in Visitor(store).queue(show="suspicious")]

    assert listed() == [open_, kept, changed], "in the order of the audit, without what is measured or has another label by now"
    vera = Visitor(store, MAY_LOOK)
    assert vera.get(f"/clips/{kept}")["doubt"] == {"verb": "take", "noun": "bag", "probability": 0.91}
    assert [vera.get(f"/clips/{uid}")["doubt"] for uid in (other, of_val)] == [None, None]
    assert [clip["uid"] for clip in vera.queue(show="suspicious", after=open_)] == [kept, changed]
    anna.say(kept, "put meat", checked=True)
    anna.say(changed, "take bag", checked=True)
    assert listed() == [open_]
    turned = {"verb": "take", "noun": "bag", "likely_verb": "put", "likely_noun": "meat"}
    audit(store, [*doubtful, doubtful[3].model_copy(update=turned)], number=1)
    assert listed() == [open_], "later audits do not ask again"
    last = anna.get(f"/clips/{kept}")["token"]
    anna.post(kind="withdrawal", withdrawn=last, undo=True)
    assert listed() == [open_, kept], "an undo brings it back"
    anna.post(kind="class", target="verb", name="put", same_as="place")
    assert listed() == [open_, kept], "a renamed class is the same"
    anna.post(kind="class", target="verb", name="take", same_as="place")
    anna.post(kind="class", target="noun", name="bag", same_as="meat")
    assert listed() == [], "nothing is likely but the label itself"


def test_the_list_of_the_training_before_stays_until_the_next_is_scored(store):
    [cut] = list_clips(store, [FILM], ["a.mp4"], 2, SegmentOptions())
    uid = cut.clips[0].uid
    audit(store, [doubt(uid)])
    data = PageData(store, STORE)
    data._read_view()
    planned = Evaluation(model="fine-tuned", split="val", out=f"{RUN}evaluate/later/val/")
    store.write(Layout(STORE).latest_plan, plan_result((planned,)))
    data._read_view()
    assert list(data.view.audit.doubtful) == [uid]
    store.write(Scores(planned.out), scored(None))
    data._read_view()
    assert list(data.view.audit.doubtful) == []
