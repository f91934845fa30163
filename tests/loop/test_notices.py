"""The events that people are told, their notices at a real receiver, and the addresses that fail."""

import json
import logging
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.disk import Space
from tasks.loop.notices import MAX_CHARACTERS, Facts, deliver, notices, one_line
from tasks.settings import EventName
from tasks.store.records.decisions import DecideResult
from tasks.store.records.prediction import PredictReportResult
from tasks.store.records.record import SetAside
from tasks.store.records.status import EndedRun, LoopStatus, Notice, PredictionsStatus, PredictionStatus, VideosStatus, Waiting
from tasks.store.records.video import SummaryResult
from tests.http_servers import Answering, in_thread
from tests.records import some

NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)  # a Wednesday
AIRFLOW = "http://airflow.test"
RUN = f"{AIRFLOW}/dags/d/runs/r"
ALL = get_args(EventName)
HOURLY = {"dag_id": "ingest_videos", "is_scheduled": True}


def facts(result=None, *, now=NOW, films=None, predictions=None, spaces=(), sentence="", steps=(), **ended):
    known = {"dag_id": "retrain", "run_url": RUN, "store": "s3://retake", "is_failed": False, "is_scheduled": False}
    run = EndedRun(**known | {"result": result and result.model_dump(mode="json")} | ended)
    status = LoopStatus(store="s3://retake", model_name="m", films=films, predictions=predictions)
    return Facts(ended=run, now=now, idle_days=14, status=status, spaces=spaces, sentence=sentence, steps=steps)


def told(known, causes=None, wanted=ALL):
    return list(notices(known, causes or {}, wanted))


def decided(**changes):
    return some(DecideResult, model_name="m", version=3, promoted=True, reason="All rules passed", report_url="http://report", **changes)


@pytest.mark.parametrize(("provisional", "which"), [(False, "the new champion"), (True, "the provisional champion")])
def test_a_new_champion_comes_with_its_reason_and_its_report(provisional, which):
    (notice,) = told(facts(decided(provisional=provisional)))
    assert (notice.title, notice.text, notice.url) == (f"Version 3 of m is {which}", "All rules passed", "http://report")
    assert told(facts(decided(), dag_id="search")) == []
    assert told(facts(decided().model_copy(update={"promoted": False}))) == []


def test_a_failed_run_is_told_unless_the_scheduled_one_before_failed_too():
    (notice,) = told(facts(is_failed=True, reason="train: no memory"))
    assert (notice.title, notice.text, notice.url) == ("retrain failed", "train: no memory", RUN)
    assert told(facts(is_failed=True, failed_before=True))
    assert told(facts(is_failed=True, failed_before=True, is_scheduled=True)) == []


def summary(*names):
    aside = tuple(SetAside(name=name, reason="no video") for name in names)
    return some(SummaryResult, num_set_aside=len(names), first_set_aside=aside)


def test_files_that_are_set_aside_are_told_once_and_again_with_another():
    (notice,) = told(facts(summary("a.mp4", "b.mp4"), dag_id="ingest_videos"))
    assert (notice.title, notice.text) == ("ingest_videos set 2 files aside", "a.mp4: no video; and 1 more file")
    causes = {notice.about: notice.cause}
    assert told(facts(summary("a.mp4", "b.mp4"), dag_id="ingest_videos"), causes) == []
    assert told(facts(summary("a.mp4", "c.mp4"), dag_id="ingest_videos"), causes)
    assert told(facts(summary(), dag_id="ingest_videos")) == []


@pytest.mark.parametrize("is_unlike", [True, False])
def test_footage_unlike_the_training_clips_is_told_by_the_summary_of_the_prediction(is_unlike):
    report = some(PredictReportResult, num_set_aside=0, first_set_aside=(), report_url="http://page")
    kept = [
        some(PredictionStatus, model="m@2", report_url=url, is_unlike=url == "http://page" and is_unlike, unlike="far")
        for url in ("x", "http://page")
    ]
    predictions = PredictionsStatus(predictions=tuple(kept))
    assert [notice.text for notice in told(facts(report, dag_id="predict_videos", predictions=predictions))] == ["far"] * is_unlike


def question(hours, subject="Promote?", **changes):
    return Waiting(subject=subject, url="http://q", since=(NOW - timedelta(hours=hours)).isoformat(), is_assigned=True, **changes)


def test_a_question_that_waits_for_a_day_is_told_daily_the_oldest_with_the_number_of_others():
    known = facts(waiting=(question(2, "Start?"), question(30)), **HOURLY)
    (notice,) = told(known)
    assert (notice.title, notice.text) == ("Promote?", "Without an answer since 2026-12-01 06:00 UTC; 1 other question without an answer")
    assert notice.for_approvers
    assert told(known, {notice.about: notice.cause}) == []
    assert told(facts(waiting=(question(60),), now=NOW + timedelta(days=1), **HOURLY), {notice.about: notice.cause})
    assert told(facts(waiting=(question(23),), **HOURLY)) == []


@pytest.mark.parametrize(("days", "is_told"), [(13, False), (14, True), (400, True)])
def test_a_store_without_new_films_is_told_once(days, is_told):
    films = some(VideosStatus, new_at=(NOW - timedelta(days=days)).isoformat(), first_set_aside=())
    notices = told(facts(films=films, **HOURLY))
    assert [notice.title for notice in notices] == [f"No new video for {days} days"] * is_told
    assert all(notice.url == f"{AIRFLOW}/retake/" and "s3://retake/inbox/" in notice.text for notice in notices)
    assert told(facts(films=films, **HOURLY), {notice.about: notice.cause for notice in notices}) == []
    assert told(facts(films=films, dag_id="ingest_videos")) == [], "the hourly run alone looks"


def test_the_fullest_disk_is_told_weekly_if_less_than_a_tenth_is_free():
    spaces = (Space("The disk of /", 95, 100), Space("s3://retake", 90, 100))
    (notice,) = told(facts(spaces=spaces, **HOURLY))
    assert notice.title == "The disk of / is nearly full: 95.0 %"
    causes = {notice.about: notice.cause}
    assert told(facts(spaces=spaces, **HOURLY), causes) == []
    assert told(facts(spaces=spaces, now=NOW + timedelta(days=7), **HOURLY), causes)
    (other,) = told(facts(spaces=(spaces[0], Space("s3://retake", 99, 100)), **HOURLY), causes)
    assert other.title == "s3://retake is nearly full: 99.0 %"
    assert told(facts(spaces=spaces, **HOURLY), causes | {other.about: other.cause}) == []
    assert told(facts(spaces=(Space("s3://retake", 90, 100),), **HOURLY)) == []


def test_the_digest_comes_once_a_week_from_monday_morning_on():
    monday = datetime(2026, 12, 7, tzinfo=UTC)

    def digest(now, causes):
        return told(facts(now=now, sentence="Champion v2.", steps=("Label.", "Build.", "Predict.", "Wait."), **HOURLY), causes)

    (notice,) = digest(NOW, {})
    assert (notice.title, notice.text) == ("Champion v2.", "Label. Build. Predict.")
    causes = {"digest": notice.cause}
    assert digest(monday - timedelta(hours=1), causes) == digest(monday + timedelta(hours=5), causes) == []
    assert digest(monday + timedelta(hours=6), causes)
    assert told(facts(**HOURLY)) == [], "there is nothing to say of an empty store"


@given(st.sets(st.sampled_from(ALL)))
def test_each_event_can_be_switched_off(wanted):
    films = some(VideosStatus, new_at=(NOW - timedelta(days=20)).isoformat(), first_set_aside=())
    known = {"films": films, "spaces": (Space("/", 1, 1),), "sentence": "s", "is_failed": True, "waiting": (question(30),)}
    events = {notice.event for notice in told(facts(summary("a.mp4"), **known | HOURLY), wanted=wanted)}
    assert events == wanted - {"champion", "unlike"}


# Apprise imports it where it is still there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
NOTICE = Notice(event="failed", title="retrain failed", text="no memory", url="http://airflow/run")
SECRET = "hunter22"  # noqa: S105


@pytest.fixture
def receiver(monkeypatch):
    """A server that keeps what it gets, and refuses what comes to /refused."""
    monkeypatch.setattr("tasks.loop.notices.DELIVER_SECONDS", 60)
    got = []

    class Receiver(Answering):
        def do_POST(self):
            got.append(json.loads(self.body()))
            self.answer(403 if self.path.startswith("/refused") else 200)

    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Receiver)) as address:
        yield address.removeprefix("http://"), got


def test_two_lines_and_a_link_arrive_without_the_password_of_an_address(receiver):
    address, got = receiver
    notice = NOTICE.model_copy(update={"text": f"no answer\nfrom s3://me:{SECRET}@host/b"})
    assert deliver(notice, [f"json://{address}/"]) == []
    assert [message["title"] for message in got] == ["retrain failed"]
    reason, link = got[0]["message"].splitlines()
    assert reason.startswith("no answer from s3://") and SECRET not in reason
    assert link == "http://airflow/run"


def test_an_address_that_fails_stops_no_other_and_is_named_by_its_place_alone(receiver, caplog, capfd):
    address, got = receiver
    addresses = [f"nope://{SECRET}", f"json://{address}/refused/{SECRET}", f"{SECRET}@example.com", f"json://u:{SECRET}@{address}/"]
    addresses.append(f"slack://{SECRET}")
    with caplog.at_level(logging.DEBUG):
        failures = deliver(NOTICE, addresses)
    assert len(got) == 2, "each address gets it once: a refused notice is not sent again"
    assert sorted(failures) == [
        "address 1 (nope) is none that Apprise knows",
        "address 2 (json) refused a notice, or did not answer",
        "address 3 (without a scheme) is none that Apprise knows",
        "address 5 (slack) is none that Apprise knows",
    ]
    assert SECRET not in "".join((caplog.text, *capfd.readouterr(), *failures))


def test_an_address_that_does_not_answer_costs_no_more_than_the_limit(monkeypatch):
    monkeypatch.setattr("tasks.loop.notices.DELIVER_SECONDS", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # it accepts, and nobody serves
        assert deliver(NOTICE, [f"json://127.0.0.1:{silent.server_port}/?rto=60"]) == ["address 1 (json) took too long"]


@given(st.text(max_size=50))
def test_names_of_files_neither_call_people_nor_make_lines(text):
    line = one_line(f"{text} @all <!channel>{text}")
    assert len(line.splitlines()) == 1
    assert "@a" not in line and "<!" not in line
    assert len(one_line(3 * MAX_CHARACTERS * "a")) == MAX_CHARACTERS + 1
