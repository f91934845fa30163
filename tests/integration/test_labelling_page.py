"""The labelling page's application on a real S3 server: who may do what, and that `label` reads what people said."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Annotated

import pytest
from fastapi import Header, HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

from tasks.labelling.app import Person, make_app
from tasks.labelling.desk import Desk
from tasks.store.layout import Layout
from tasks.video.ffmpeg import find_ffmpeg
from tests.films.samples import make_samples
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORE, EMPTY = "s3://retake-page", "s3://retake-page-empty"
WRITE = {"x-retake": "label"}


def person(x_person: Annotated[str | None, Header()] = None) -> Person:
    if x_person is None:
        raise HTTPException(401)
    return Person(x_person, may_write=x_person != "viewer")


class Page:
    """One person's browser."""

    def __init__(self, desks, name: str | None) -> None:
        for desk in desks:
            desk.wait_for_view()
        self.client = TestClient(make_app(desks, person, second_share=1), headers={"x-person": name} if name else {})
        self.number = count()
        self.name = name

    def get(self, path: str, **query):
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, headers=WRITE, **said):
        return self.client.post("/statements", json={"token": f"{self.name}-{next(self.number):08d}", **said}, headers=headers)

    def say(self, uid: str, words: str | None, **said) -> None:
        verb, _, noun = (words or "").partition(" ")
        about = {"answer": "action", "verb": verb, "noun": noun} if words else {}
        answer = self.post(kind="clip", uid=uid, **(about | said))
        assert answer.status_code == 200, answer.text

    def queue(self, **query):
        return self.get("/queue", limit=50, **query)["clips"]


@pytest.fixture(scope="module")
def ingested(workshop, tmp_path_factory):
    """Cut eight clips of four films, which nobody has labelled."""
    folder = tmp_path_factory.mktemp("page") / "films"
    make_samples(folder, seed=0, num_videos=4, video_seconds=16, ffmpeg=find_ffmpeg(None))
    (folder / "intervals.csv").unlink()
    workshop.ingest(STORE, folder)
    return workshop


@pytest.fixture
def people(ingested):
    """Open the page for each of several people; each has a process of their own."""
    for listed in list(ingested.store.list(f"{STORE}/label_log/")):
        ingested.remove(listed.uri)
    return lambda name: Page([Desk(ingested.store, STORE, now=iter(range(10**6)).__next__)], name)


def span_of(clip) -> dict[str, float]:
    return {"start_seconds": clip["start_seconds"], "stop_seconds": clip["stop_seconds"]}


def labels(workshop) -> dict[str, tuple[str, str]]:
    workshop.run("label", store=STORE)
    found = json.loads(workshop.store.read_bytes(Layout(STORE).labels(RECIPE).clips.uri))
    return {one["clip"]["uid"]: (one["verb"], one["noun"]) for one in found["clips"] if one["verb"]}


@pytest.mark.parametrize("path", ["/", "/state", "/queue", "/static/label.js", "/clips/x.mp4", "/review", "/classes", "/videos/x"])
def test_a_stranger_sees_nothing(people, path):
    assert people(None).client.get(path).status_code == 401


def test_a_stranger_a_viewer_and_another_site_write_nothing(people):
    anna, viewer, stranger = people("anna"), people("viewer"), people(None)
    uid = anna.queue()[0]["uid"]
    said = {"kind": "clip", "uid": uid, "answer": "nothing"}
    assert stranger.post(**said).status_code == 401
    assert viewer.post(**said).status_code == 403
    assert anna.post(headers={}, **said).status_code == 403
    assert anna.client.post("/statements", content=json.dumps(said), headers=WRITE | {"content-type": "text/plain"}).status_code == 422
    assert anna.client.post("/statements", content=b"x" * 20_000, headers=WRITE).status_code == 413
    assert viewer.get("/state")["may_write"] is False
    assert viewer.queue()[0]["answer"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"uid": "../../videos"},
        {"verb": "=cmd()"},
        {"verb": "put meat"[:3] + "\n"},
        {"noun": "<img src=x>"},
        {"verb": "x" * 65},
        {"verb": None},
        {"answer": "nothing"},
        {"verb": "nothing"},
        {"answer": "nobody"},
        {"by": "ben"},
        {"token": "../x"},
    ],
)
def test_a_statement_that_makes_no_sense_is_refused(people, changes):
    anna = people("anna")
    said = {"kind": "clip", "uid": anna.queue()[0]["uid"], "answer": "action", "verb": "put", "noun": "meat"}
    answer = anna.post(**(said | changes))
    assert answer.status_code in (422, 200)
    if answer.status_code == 200:
        # A line end is only white space around a name.
        assert changes == {"verb": "put\n"}


def test_every_answer_forbids_other_scripts(people):
    for path in ("/", "/state", "/static/label.css", "/nowhere"):
        headers = people("anna").client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/static/label.js"])
def test_airflows_compression_leaves_every_answer_readable(ingested, path):
    app = make_app([Desk(ingested.store, STORE)], person, second_share=0)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    client = TestClient(app, headers={"x-person": "anna"})
    assert client.get(path).text == client.get(path).text


def test_a_clip_is_a_film(people):
    anna = people("anna")
    film = anna.client.get(f"/clips/{anna.queue()[0]['uid']}.mp4")
    assert film.headers["content-type"] == "video/mp4"
    assert film.content[4:8] == b"ftyp"


def test_labels_of_the_page_reach_the_build_and_the_latest_wins(ingested, people):
    anna = people("anna")
    first, second, third = [clip["uid"] for clip in anna.queue()][:3]
    anna.say(first, "put meat")
    anna.say(first, "Take  Sauce")
    anna.say(second, None, answer="nothing")
    anna.say(third, None, answer="unsure")
    found = labels(ingested)
    assert (found[first], found[second]) == (("take", "sauce"), ("nothing", "(none)"))
    assert third not in found
    state = people("anna").get("/state")["counts"]
    assert (state["num_labelled"], state["num_nothing"], state["num_unsure"], state["num_mine"]) == (2, 1, 1, 3)


def test_undo_gives_back_the_label_before(ingested, people):
    anna = people("anna")
    uid = anna.queue()[0]["uid"]
    anna.say(uid, "put meat")
    anna.say(uid, "take meat")
    token = anna.get(f"/clips/{uid}")["token"]
    assert anna.post(kind="withdrawal", withdrawn=token).status_code == 200
    assert labels(ingested)[uid] == ("put", "meat")
    assert anna.get(f"/clips/{uid}")["label"]["verb"] == "put"


def test_a_second_reader_does_not_see_the_first_label(people):
    anna, ben = people("anna"), people("ben")
    uid = anna.queue()[0]["uid"]
    anna.say(uid, "put meat")
    (again,) = [clip for clip in ben.queue() if clip["reading"] == "second"]
    assert again["uid"] == uid
    assert "meat" not in json.dumps(again)
    assert "meat" not in json.dumps(ben.get(f"/clips/{uid}"))
    ben.say(uid, "take meat", reading="second")
    assert uid not in [clip["uid"] for clip in ben.queue()]
    review = anna.get("/review", show="conflicts")
    assert [row["uid"] for row in review["rows"]] == [uid]
    assert review["agreement"]["num_clips"] == 1


def test_a_second_reader_sees_nothing_that_was_said_of_the_clip_until_they_answer(people):
    anna, ben, viewer = people("anna"), people("ben"), people("viewer")
    video = anna.get("/state")["videos"][0]["video"]
    first, second = anna.get(f"/videos/{video}")["clips"]
    anna.say(first["uid"], "put meat")
    for clip in (first, second):
        assert anna.post(kind="interval", video=video, verb="put", noun="meat", **span_of(clip)).status_code == 200

    def seen(page):
        found, review = page.get(f"/videos/{video}"), page.get("/review", name="put meat")
        named = page.queue(show="all", name="put meat")
        return (
            [one["start_seconds"] for one in found["intervals"]],
            found["num_hidden"],
            len(review["rows"]),
            review["num_hidden"],
            len(named),
        )

    both = [first["start_seconds"], second["start_seconds"]]
    assert seen(anna) == seen(viewer) == (both, 0, 3, 0, 2)
    assert seen(ben) == ([second["start_seconds"]], 1, 1, 2, 1)
    (again,) = [clip for clip in ben.queue(show="all") if clip["uid"] == first["uid"]]
    assert (again["reading"], again["label"], again["answer"]) == ("second", None, None)
    ben.say(first["uid"], "put meat", reading="second")
    assert seen(ben) == (both, 0, 3, 0, 2)


def test_people_in_two_processes_have_different_clips_before_them(people):
    anna, ben = people("anna"), people("ben")
    mine = {clip["uid"] for clip in anna.get("/queue", limit=4)["clips"]}
    assert mine.isdisjoint(clip["uid"] for clip in ben.get("/queue", limit=4)["clips"])
    more = {clip["uid"] for clip in anna.get("/queue", limit=4, skip=",".join(mine))["clips"]}
    assert len(mine | more) == 8
    assert {clip["uid"] for clip in people("cleo").queue()} == mine | more


def test_people_in_two_processes_and_one_who_is_impatient_lose_nothing(ingested, people):
    anna, ben = people("anna"), people("ben")
    uids = [clip["uid"] for clip in anna.queue()]

    def label(said: tuple[Page, str, str]) -> None:
        page, uid, words = said
        page.say(uid, words)

    said = [(page, uid, words) for uid in uids for page, words in ((anna, "put meat"), (ben, "take bag"), (anna, "move pan"))]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(label, said))
    assert set(labels(ingested)) == set(uids)
    rows = people("cleo").get("/review")["rows"]
    assert sorted(len(row["statements"]) for row in rows) == [3] * len(uids)
    assert {one["by"] for row in rows for one in row["statements"]} == {"anna", "ben"}


def test_an_interval_labels_the_clips_that_it_covers(ingested, people):
    anna = people("anna")
    video = anna.get("/state")["videos"][0]["video"]
    clips = anna.get(f"/videos/{video}")["clips"]
    span = {"start_seconds": clips[0]["start_seconds"], "stop_seconds": clips[1]["stop_seconds"]}
    assert anna.post(kind="interval", video=video, verb="put", noun="meat", **span).status_code == 200
    assert anna.post(kind="interval", video="0" * 64, verb="put", noun="meat", **span).status_code == 400
    assert labels(ingested) == {clip["uid"]: ("put", "meat") for clip in clips[:2]}
    (interval,) = anna.get(f"/videos/{video}")["intervals"]
    assert interval["by"] == "anna"


def test_a_class_merged_on_the_page_is_merged_in_the_build(ingested, people):
    anna = people("anna")
    uid = anna.queue()[0]["uid"]
    anna.say(uid, "put beef")
    assert anna.post(kind="class", target="noun", name="beef", same_as="meat").status_code == 200
    assert labels(ingested)[uid] == ("put", "meat")
    assert [merge["name"] for merge in anna.get("/classes")["merges"]] == ["beef"]


def test_the_page_of_an_empty_store_leads_to_one_with_clips(ingested):
    now = iter(range(10**6)).__next__
    client = Page([Desk(ingested.store, EMPTY, now), Desk(ingested.store, STORE, now)], "anna").client
    assert client.get("/", follow_redirects=False).headers["location"] == "stores/1/"
    assert client.get("/stores/1/queue").json()["clips"]
    assert client.get("/queue").status_code == 404
    assert client.get("/state").json()["is_empty"]
