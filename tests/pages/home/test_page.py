"""The page *Retake* over HTTP, on a store in memory."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from threading import Event
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tasks.errors import Unavailable
from tasks.loop.next_steps import ActiveRun, Approval, Live
from tasks.pages.home.app import Samples, make_app
from tasks.settings import TRAINING_PAGES
from tasks.store.layout import Layout
from tests.data.labels.records import video_record
from tests.data.labels.test_statements import CLIPS, Writer
from tests.loop.statuses import MODEL, STORE, fill
from tests.pages.label.page import PagesKeys, person
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of

DIGEST, BEFORE = "b" * 16, "a" * 16
SAMPLES = Samples("s3://retake-sample", {"store": "s3://retake-sample", "sources": ["/samples"]})
LIVE = Live(
    approvals=(
        Approval("Promote retake-tsn version 5?", "/dags/retrain/runs/r/tasks/publish.approve/required_actions", "2026-11-28T00:00:00Z"),
    ),
    runs=(ActiveRun("retrain", "r", "running", "2026-11-28T00:00:00Z", "anna", "", "/dags/retrain/runs/r"),),
)


class Counting(Shelf):
    """Keeps the addresses that are asked for, and lists nothing but videos."""

    def __init__(self):
        super().__init__()
        self.calls = []
        for name in ("stat", "read_bytes", "folders"):
            setattr(self, name, self._kept(getattr(self, name)))

    def _kept(self, ask):
        return lambda uri: self.calls.append(uri) or ask(uri)

    def list(self, prefix_uri):
        assert prefix_uri == Layout(STORE).videos
        return super().list(prefix_uri)


@pytest.fixture
def store():
    store = Counting()
    fill(store)
    store.calls.clear()
    return store


def visit(store, who="anna", **given):
    """Open the page of a store, and of another that is empty."""
    app = make_app(
        store,
        [STORE, SAMPLES.store],
        lambda uri, look: look(Ledger.of(read_log(store, uri))),
        person,
        lambda address: f"/login?{urlencode({'next': address})}",
        **{"samples": SAMPLES} | given,
    )
    return TestClient(app, headers={"cookie": f"who={who}"} if who else {}, follow_redirects=False)


def told(store, live=None, **query):
    answer = visit(store).post("/state", params=query, json=asdict(live) if live else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_page_tells_the_summary_of_a_store_and_what_to_do_next(store):
    place = Layout(STORE).status.of_model(MODEL).model
    store.write(place, store.read(place).model_copy(update={"doubtful": {"c1": ("put", "meat", "take", "bag")}}))
    state = told(store, LIVE)
    assert state["stores"] == [STORE, SAMPLES.store]
    assert (state["store"], state["models"], state["status"]["model_name"]) == (STORE, [MODEL], MODEL)
    assert state["status"]["films"]["num_clips"] == 300
    latest, first = state["status"]["model"]["versions"]
    assert (latest["version"], latest["mlflow_run_url"], first["mlflow_run_url"]) == (2, f"http://mlflow/run?{TRAINING_PAGES}", "")
    assert "doubtful" not in state["status"]["model"]
    assert "v2" in state["sentence"]
    assert state["steps"][0]["url"] == LIVE.approvals[0].url
    assert (state["is_empty"], state["num_chosen"]) == (False, 12)


@pytest.mark.parametrize(("now", "share", "is_alarm"), [("2026-12-13T20:40:59Z", 0.11, False), ("2026-12-13T20:41:00Z", 0.09, True)])
def test_the_alarms_of_the_page_are_those_of_the_steps(store, monkeypatch, now, share, is_alarm):
    monkeypatch.setattr("tasks.pages.home.app.now_utc", lambda: now)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=share, total=1))
    state = told(store)
    for alarm, words in (("is_quiet", "videos still arrive"), ("is_nearly_full", "Make room")):
        assert state[alarm] == any(words in step["text"] for step in state["steps"]) == is_alarm


def test_without_an_address_the_first_store_with_videos_is_told(store):
    films = store.objects.pop(Layout(STORE).status.films.uri)
    assert told(store)["store"] == STORE
    store.objects[Layout(SAMPLES.store).status.films.uri] = films
    assert told(store)["store"] == SAMPLES.store
    store.ensure_bucket(SAMPLES.store)
    store.write(Layout(SAMPLES.store).dataset("0123456789abcdef").manifest, manifest_of([dataset_clip()]))
    compared = visit(store).get("/difference", params={"a": "0123456789abcdef", "b": "0123456789abcdef"})
    assert compared.json()["after"] == "0123456789abcdef"


def test_answers_since_the_last_build_are_counted(store):
    store.write(Layout(STORE).status.labels, store.read(Layout(STORE).status.labels).model_copy(update={"num_statements": 1}))
    log = Writer()
    for clip in CLIPS:
        log.clip(clip, "put", "meat")
    log.withdraw("token-0002")
    for number, entry in enumerate(log.entries):
        store.write(Layout(STORE).label_log.entry(number), entry)
    state = told(store)
    assert state["num_new_labels"] == 1
    assert "Build a dataset: 1 new label on the page Label." in [step["text"] for step in state["steps"]]


def test_a_store_is_told_by_a_handful_of_requests_and_none_about_its_clips(store):
    told(store)
    assert len(store.calls) < 15
    assert not any("/clips/" in uri or "/datasets/" in uri for uri in store.calls)


def test_a_store_that_an_earlier_version_filled_is_not_called_empty():
    store = Counting()
    state = told(store)
    assert (state["is_empty"], state["models"], state["status"]["films"]) == (True, [], None)
    assert state["sentence"] == f"There are no videos in {STORE} yet."
    video = "0" * 64
    store.write(Layout(STORE).video(video).probe, video_record(video))
    assert not told(store)["is_empty"]


def test_the_page_has_the_samples_where_they_are_on_the_disk(store):
    assert told(store)["samples"] == asdict(SAMPLES)
    assert visit(store, samples=None).post("/state", json={}).json()["samples"] is None


def test_while_the_store_is_down_the_page_says_so_and_goes_on_when_it_is_back(store, monkeypatch):
    client = visit(store)
    with monkeypatch.context() as down:

        def fail(uri):
            raise Unavailable(f"the object store does not answer for {uri}")

        for name in ("read_bytes", "folders", "stat"):
            down.setattr(store, name, fail)
        answer = client.post("/state", json={})
        assert (answer.status_code, answer.json()["detail"][:34]) == (503, "the object store does not answer f")
        assert client.get("/").status_code == 200
    assert client.post("/state", json={}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/datasets/", "/home/static/home.js", "/docs/", "/difference?a=latest"])
def test_a_stranger_sees_nothing_and_is_sent_to_the_login_with_the_way_back(store, path, tmp_path):
    client = visit(store, None, docs=tmp_path)
    assert client.get(path).status_code == 401
    answer = client.get(path, headers={"accept": "text/html", "host": "elsewhere.example"})
    assert answer.headers["location"].startswith("/login?next=%2F")


def test_nothing_is_read_of_a_stranger_and_little_of_anybody(store):
    assert visit(store, None).post("/state", content=b"{", headers={"content-type": "application/json"}).status_code == 401
    client = visit(store)
    for content, status in ((b"[1]", 422), (b" " * 70_000, 413)):
        assert client.post("/state", content=content, headers={"content-type": "application/json"}).status_code == status
    assert client.post("/state", content=b"{}").status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/state?store=s3://o", "/difference?a=x&store=s3://o", "/difference?a=../../x", "/docs/..%2fREADME.md", "/home/static/..%2fapp.py"],
)
def test_a_forged_address_reads_nothing(store, path, tmp_path):
    (tmp_path / "a.md").write_text("# A")
    client, store.calls = visit(store, docs=tmp_path), []
    answer = client.post(path, json={}) if path.startswith("/state") else client.get(path)
    assert answer.status_code in (404, 422)
    assert store.calls == []


def test_pages_load_nothing_from_elsewhere_and_have_no_inline_script(store, tmp_path):
    (tmp_path / "a.md").write_text("# A")
    client = visit(store, docs=tmp_path)
    for path in ("/", "/datasets/", "/docs/a.md"):
        answer = client.get(path)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "http:" not in answer.text and "https:" not in answer.text and " style=" not in answer.text
        assert answer.text.count("<script") == answer.text.count("<script src=")


@pytest.mark.parametrize(
    ("limit", "work", "method", "path"),
    [("MAX_READS", "state", "POST", "/state"), ("MAX_DIFFERENCES", "dataset_difference", "GET", "/difference?a=latest")],
)
def test_few_requests_are_at_work_at_a_time(store, monkeypatch, limit, work, method, path):
    monkeypatch.setattr("tasks.pages.web.TURN_SECONDS", 0.01)
    monkeypatch.setattr(f"tasks.pages.home.app.{limit}", 1)
    begun, go_on = Event(), Event()

    def slow(*_):
        if not begun.is_set():
            begun.set()
            assert go_on.wait(20)
        return {}

    monkeypatch.setattr(f"tasks.pages.home.app.{work}", slow)
    with visit(store) as client, ThreadPoolExecutor(1) as other:
        first = other.submit(client.request, method, path, json={})
        assert begun.wait(20)
        second = client.request(method, path, json={})
        go_on.set()
        assert (first.result().status_code, second.status_code) == (200, 503)


def test_the_keys_of_the_pages_in_containers_reach_all_that_it_reads(store):
    for digest in (BEFORE, DIGEST):
        store.write(Layout(STORE).dataset(digest).manifest, manifest_of([dataset_clip("c")]))
    kept = PagesKeys()
    kept.objects = store.objects
    assert told(kept)["status"] == told(store)["status"]
    assert visit(kept).get("/difference", params={"a": BEFORE, "b": DIGEST}).status_code == 200


def test_two_datasets_are_compared_and_long_lists_are_cut(store, monkeypatch):
    monkeypatch.setattr("tasks.pages.home.app.MAX_ROWS", 2)
    layout = Layout(STORE)
    clips = [dataset_clip(f"{number:012}_000000000-000008000") for number in range(5)]
    store.write(layout.dataset(BEFORE).manifest, manifest_of(clips[:2]))
    store.write(layout.dataset(DIGEST).manifest, manifest_of(clips))
    client = visit(store)
    answer = client.get("/difference", params={"a": BEFORE, "b": DIGEST}).json()
    assert (answer["before"], answer["after"]) == (BEFORE, DIGEST)
    assert (answer["numbers"]["clips_added"], len(answer["rows"]["clips_added"])) == (3, 2)
    missing = client.get("/difference", params={"a": "c" * 16, "b": DIGEST})
    assert missing.status_code == 404
    assert "c" * 16 in json.dumps(missing.json())


def test_the_documentation_is_listed_in_the_order_of_the_readme_and_a_page_that_it_lacks_comes_last(store, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(f"# Page {name}\n")
    (tmp_path / "README.md").write_text("[a](docs/a.md)\n\n## Where to read on\n\n[c](docs/c.md), [b](docs/b.md#part), [b](docs/b.md)\n")
    assert re.findall('href="([abc]).md"', visit(store, docs=docs).get("/docs/").text) == ["c", "b", "a"]


def test_the_documentation_is_rendered_and_html_in_it_stays_text(store, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"png")
    text = "# The `loop`\n\n## What's *next*?\n\n<b>x</b> [b](b.md#what) [code](../tasks/x.py) [web](https://a.example)\n\n| a |\n| - |\n| 1 |\n"
    (tmp_path / "loop.md").write_text(text)
    client = visit(store, docs=tmp_path)
    page = client.get("/docs/loop.md").text
    assert 'id="whats-next"' in page and "<title>The loop</title>" in page
    assert "&lt;b&gt;x" in page and 'href="b.md#what"' in page and "../tasks" not in page and 'target="_top"' in page
    assert '<a href="loop.md">The loop</a>' in client.get("/docs/").text
    assert client.get("/docs/images/a.png").headers["content-type"] == "image/png"
    assert visit(store).get("/docs/").status_code == 404
