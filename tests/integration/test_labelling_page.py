"""The labelling page on a real S3 server: two processes write at once, and the step `label` reads what people said.

In a real Airflow, twenty people label at once.
"""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

import httpx
import pytest

from tasks.data.clips.label_inputs import read_log
from tasks.local import supervise
from tasks.local.home_folder import Credentials, add_person
from tasks.local.servers import all_servers, store_settings
from tasks.options import SegmentOptions
from tasks.settings import LABEL_PATH
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tests.integration.conftest import own_home
from tests.integration.workshop import RECIPE
from tests.pages.label.page import STORE, WRITE, Visitor, list_clips, suggest
from tests.ports import port_offset

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PAGE_STORE = "s3://retake-page"


def test_people_at_two_processes_get_different_clips_and_lose_nothing(workshop, chain, tmp_path):
    shutil.copytree(chain.films, tmp_path / "films", ignore=shutil.ignore_patterns("*_03.mp4", "intervals.csv"))
    workshop.ingest(PAGE_STORE, tmp_path / "films")

    def visit(name: str) -> Visitor:
        return Visitor(workshop.store, name, (PAGE_STORE,))

    anna, ben = visit("anna"), visit("ben")
    first, second = ({clip["uid"] for clip in visitor.get("/queue", limit=2)["clips"]} for visitor in (anna, ben))
    uids = sorted(first | second)
    assert len(uids) == 4
    assert anna.client.get(f"/clips/{uids[0]}.mp4").content[4:8] == b"ftyp"
    said = [(visitor, uid, words) for uid in uids for visitor, words in ((anna, "put meat"), (ben, "take bag"), (anna, "move pan"))]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda visitor, *words: visitor.say(*words), *zip(*said, strict=True)))
    statements = [statement for row in visit("cleo").get("/review")["rows"] for statement in row["statements"]]
    assert sorted(statement["by"] for statement in statements) == ["anna"] * 8 + ["ben"] * 4
    assert anna.post(kind="class", target="verb", name="move", same_as="shift").status_code == 200
    for uid in uids:
        anna.say(uid, "move pan")
    workshop.run("label", store=PAGE_STORE)
    clips = json.loads(workshop.store.read_bytes(Layout(PAGE_STORE).labels(RECIPE).clips.uri))["clips"]
    assert [(labelled["verb"], labelled["noun"]) for labelled in clips] == [("shift", "pan")] * 4


NUM_PEOPLE, NUM_ANSWERS, NUM_TRIES = 20, 12, 40
START_SECONDS = 300
SLOWEST_SECONDS = 15
"""Of a request that is answered: it waits at most 5 s for its turn, and the rest is for a slow machine."""


class Labeller:
    """A person at the page in Airflow. Like the page's script, they send again what was not taken."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.name, self.numbers, self.seconds, self.num_busy = name, count(), list[float](), 0
        self.client = httpx.Client(base_url=address, timeout=60, trust_env=False)
        token = self.client.post("/auth/token", json={"username": name, "password": password}).json()["access_token"]
        self.client.headers = {"Authorization": f"Bearer {token}", **WRITE}

    def ask(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        for _ in range(NUM_TRIES):
            began = time.monotonic()
            answer = request()
            self.seconds.append(time.monotonic() - began)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                assert answer.status_code == httpx.codes.OK, answer.text
                return answer
            self.num_busy += 1
        raise AssertionError(f"{self.name} was told {NUM_TRIES} times that the page is busy")

    def label(self) -> list[str]:
        """Answer clips, each statement sent twice; return the tokens."""
        tokens = []
        for _ in range(NUM_ANSWERS):
            clip = self.ask(lambda: self.client.get(f"{LABEL_PATH}queue", params={"limit": 3})).json()["clips"][0]
            self.ask(lambda clip=clip: self.client.get(f"{LABEL_PATH}clips/{clip['uid']}.mp4"))
            tokens.append(f"{self.name}-{next(self.numbers):08d}")
            said = {"token": tokens[-1], "kind": "clip", "uid": clip["uid"], "answer": "action", "verb": "put", "noun": "meat"}
            for _ in range(2):
                self.ask(lambda said=said: self.client.post(f"{LABEL_PATH}statements", json=said))
        return tokens


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_twenty_people_at_once_lose_nothing_in_a_real_airflow(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "all_servers", lambda *given: [replace(server, max_start_seconds=600) for server in all_servers(*given)])
    with own_home(tmp_path, port_offset(1400)) as home, ExitStack() as connections:
        passwords = {name: add_person(home, name, "labeller").password for name in (f"person-{number}" for number in range(NUM_PEOPLE))}
        servers = {server.name: server for server in supervise.up(home, print, ("store", "airflow"))}
        store = Store.from_settings(store_settings(Credentials.load(home), {"store": servers["store"].ports}))
        store.ensure_bucket(STORE)
        store.write_bytes(f"{STORE}/film.mp4", bytes(300_000))
        cuts = list_clips(store, [f"{STORE}/film.mp4"], [f"{number:02}.mp4" for number in range(40)], 20, SegmentOptions())
        suggest(store, cuts)
        people = [Labeller(servers["airflow"].address, name, password) for name, password in passwords.items()]
        for person in people:
            connections.callback(person.client.close)
        first = people[0]
        until = time.monotonic() + START_SECONDS
        while not first.client.get(f"{LABEL_PATH}queue").json().get("clips"):
            assert time.monotonic() < until
            time.sleep(1)
        # Its labels are read in a child of the API server while people label.
        lines = "".join(f"{number:02}.mp4,152,160,fry,egg\n" for number in range(40))
        store.write_bytes(Layout(STORE).annotations.file("1.csv"), f"video,start_seconds,stop_seconds,verb,noun\n{lines}".encode())
        first.seconds.clear()
        with ThreadPoolExecutor(NUM_PEOPLE) as pool:
            tokens = [token for own in pool.map(Labeller.label, people) for token in own]
        entries = read_log(store, STORE)
        seconds = sorted(second for person in people for second in person.seconds)
        within = ", ".join(f"{share:.0%} within {seconds[int(share * len(seconds)) - 1]:.2f} s" for share in (0.5, 0.95, 1))
        sys.stdout.write(f"{len(seconds)} requests, {sum(person.num_busy for person in people)} told to come again; {within}\n")
        assert Counter(entry.statement.token for entry in entries) == Counter(tokens)
        assert all(entry.statement.token.startswith(f"{entry.statement.by}-") for entry in entries)
        assert seconds[-1] < SLOWEST_SECONDS
        while "fry" not in {verb["name"] for verb in first.client.get(f"{LABEL_PATH}classes").json()["verbs"]}:
            assert time.monotonic() < until
            time.sleep(1)
