"""What arrives at a real receiver, and what is said of addresses that fail."""

import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.loop.delivery import MAX_CHARACTERS, deliver, one_line
from tasks.store.records.notices import Notice
from tests.http_servers import in_thread

# Apprise imports it where it is still there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
NOTICE = Notice(event="failed", title="retrain failed", text="no memory", url="http://airflow/run")
SECRET = "hunter22"  # noqa: S105


@pytest.fixture
def receiver():
    """A server that keeps what it gets, and refuses what comes to /refused."""

    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(403 if self.path.startswith("/refused") else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

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
    monkeypatch.setattr("tasks.loop.delivery.DELIVER_SECONDS", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # it accepts, and nobody serves
        assert deliver(NOTICE, [f"json://127.0.0.1:{silent.server_port}/?rto=1"]) == ["address 1 (json) took too long"]


@given(st.text(max_size=50))
def test_names_of_files_neither_call_people_nor_make_lines(text):
    line = one_line(f"{text} @all <!channel>{text}")
    assert len(line.splitlines()) == 1
    assert "@a" not in line and "<!" not in line
    assert len(one_line(3 * MAX_CHARACTERS * "a")) == MAX_CHARACTERS + 1
