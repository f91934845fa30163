"""The command that sends word to people, on a store in memory."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tasks.data.clips.label_inputs import append_to_log
from tasks.disk import Space
from tasks.errors import BadConfiguration, Unavailable
from tasks.pipeline.commands import parse
from tasks.pipeline.loop import notify
from tasks.store.layout import Layout
from tasks.store.records.status import EndedRun, LabelsStatus, Notice, Notified, SpaceStatus, SpaceUse, VideosStatus
from tests.data.labels.test_statements import CLIPS, Writer
from tests.pipeline.shelf import Shelf
from tests.records import some

STATUS = Layout("s3://retake").status
HOURLY = EndedRun(dag_id="ingest_videos", run_url="http://a/dags/d/runs/r", store="s3://retake", is_failed=False, is_scheduled=True)
NOTICE = Notice(event="approval", title="Promote?", text="40 %", url="http://q", for_approvers=True)
EVERYBODY, ADA = "json://everybody", "json://ada"


@pytest.fixture
def told(monkeypatch):
    """Runs the command; lists the titles of notices with their addresses, some of which may fail."""

    def tell(store=None, failing=(), **flags):
        sent = []

        def deliver(notice, addresses):
            sent.append((notice.title, addresses))
            return [address for address in addresses if address in failing]

        monkeypatch.setattr(notify, "deliver", deliver)
        _, arguments = parse(["notify", *(f"--{name}={record.model_dump_json()}" for name, record in flags.items())])
        try:
            notify.run(arguments, store or Shelf())
        except Unavailable as error:
            sent.append(str(error))
        return sent

    monkeypatch.setenv("RETAKE_NOTIFY", f"{EVERYBODY} json://second")
    monkeypatch.setenv("RETAKE_NOTIFY_EVENTS", "approval idle full")
    monkeypatch.setattr(notify, "_spaces", lambda *_: ())
    return tell


def idle_store():
    shelf = Shelf()
    old = (datetime.now(UTC) - timedelta(days=30, minutes=1)).isoformat()
    shelf.write(STATUS.films, some(VideosStatus, new_at=old, first_set_aside=()))
    return shelf


def test_the_digest_counts_the_answers_of_the_page_label(told, monkeypatch):
    monkeypatch.setenv("RETAKE_NOTIFY_EVENTS", "digest")
    monkeypatch.setattr(notify, "now_utc", lambda: "2026-12-01T12:00:00.000Z")
    shelf, page, texts = Shelf(), Writer(), []
    shelf.write(STATUS.labels, some(LabelsStatus, num_clips=1, num_labelled=0, num_statements=0, by_origin=()))
    page.clip(CLIPS[0], "put", "meat")
    append_to_log(shelf, "s3://retake", page.entries[0].statement, 0)
    monkeypatch.setattr(notify, "deliver", lambda notice, _: texts.append(notice.text) or [])
    _, arguments = parse(["notify", f"--ended={HOURLY.model_dump_json()}"])
    notify.run(arguments, shelf)
    (text,) = texts
    assert text.startswith("Build a dataset: 1 new label on the page Label.")


def test_a_test_reaches_every_address_whichever_events_are_on(told, monkeypatch):
    assert told() == [("Retake can reach you", [EVERYBODY, "json://second"])]
    monkeypatch.setenv("RETAKE_NOTIFY", "")
    with pytest.raises(BadConfiguration, match="RETAKE_NOTIFY is empty"):
        told()
    assert told(notice=NOTICE.model_copy(update={"event": "failed"})) == []


def test_a_question_goes_to_approvers_with_an_address_else_to_everybody(told, monkeypatch):
    assert told(notice=NOTICE) == [("Promote?", [EVERYBODY, "json://second"])]
    monkeypatch.setenv("RETAKE_APPROVERS", json.dumps({"ada": ADA, "bob": ""}))
    assert told(notice=NOTICE) == [("Promote?", [ADA])]
    assert told(notice=NOTICE.model_copy(update={"for_approvers": False})) == [("Promote?", [EVERYBODY, "json://second"])]


def test_a_notice_that_somebody_got_is_not_sent_again_and_one_that_nobody_got_is(told):
    shelf = idle_store()
    assert told(shelf, failing=(EVERYBODY, "json://second"), ended=HOURLY)
    *_, failure = told(shelf, failing=(EVERYBODY,), ended=HOURLY)
    assert EVERYBODY in failure
    assert told(shelf, ended=HOURLY) == []
    assert set(shelf.read(STATUS.notified).causes) == {"idle"}


def test_a_store_that_is_away_or_was_written_by_another_version_hides_no_failed_run(told, monkeypatch):
    monkeypatch.setenv("RETAKE_NOTIFY_EVENTS", "failed idle")
    failed = HOURLY.model_copy(update={"is_failed": True})
    shelf = idle_store()
    shelf.write_bytes(STATUS.notified.uri, b"{}")
    assert [title for title, _ in told(shelf, ended=failed)] == ["ingest_videos failed", "No new video for 30 days"]

    def away(*_):
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(notify, "_spaces", lambda *_: (Space("The disk of /", 99, 100),))
    monkeypatch.setenv("RETAKE_NOTIFY_EVENTS", "failed idle full")
    known = shelf.objects[STATUS.notified.uri]
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "read", away)
        assert [title for title, _ in told(shelf, ended=failed)] == ["ingest_videos failed"], "the others may have been told"
    assert shelf.objects[STATUS.notified.uri] == known
    assert [title for title, _ in told(shelf, ended=HOURLY)] == ["The disk of / is nearly full: 99.0 %"]


def test_the_store_is_measured_by_its_summary_where_people_say_how_much_it_may_have():
    space = some(SpaceStatus, before=(), after=(SpaceUse(name="clips", num_objects=1, size_bytes=5),), is_dry_run=False)
    status = notify.LoopStatus(store="s3://retake", model_name="m", space=space)
    assert [(space.name, space.used_bytes) for space in notify._spaces(status, 1)][-1] == ("s3://retake", 5)
    disks = notify._spaces(status, None)
    assert disks and all(0 < disk.used_bytes < disk.all_bytes for disk in disks)


def test_what_was_told_before_the_time_limit_is_remembered_with_what_another_process_told(told, monkeypatch):
    monkeypatch.setattr(notify, "_spaces", lambda *_: (Space("The disk of /", 99, 100),))
    shelf = idle_store()

    def late(notice, addresses):
        if notice.event == "full":
            raise KeyboardInterrupt
        shelf.write(STATUS.notified, Notified(causes={"digest": "2026-W48"}))
        return []

    monkeypatch.setattr(notify, "deliver", late)
    _, arguments = parse(["notify", f"--ended={HOURLY.model_dump_json()}"])
    with pytest.raises(KeyboardInterrupt):
        notify.run(arguments, shelf)
    assert set(shelf.read(STATUS.notified).causes) == {"digest", "idle"}


def test_the_memory_keeps_one_cause_for_each_thing(told):
    shelf = idle_store()
    shelf.write(STATUS.notified, Notified(causes={"idle": "earlier", "champion m": "3"}))
    told(shelf, ended=HOURLY)
    assert shelf.read(STATUS.notified).causes == {"idle": shelf.read(STATUS.films).new_at, "champion m": "3"}
