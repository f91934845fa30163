"""JSON lines and the span of a step."""

import json
import logging
import socket
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tasks import telemetry
from tasks.errors import BadInput, NothingToDo
from tasks.telemetry import ENDPOINT_NAMES, JsonLines, TextLines, message_of, step_span
from tests.collector import collecting, texts

PARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
SECRET = "https://me:geheim@h/x?token=geheim"  # noqa: S105


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    """No collector and no parent, whatever the shell of the tests has."""
    for name in (*ENDPOINT_NAMES, "TRACEPARENT", "TRACESTATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector(monkeypatch):
    for limit in ("EXPORT_SECONDS", "FLUSH_SECONDS"):
        monkeypatch.setattr(telemetry, limit, 60)
    with collecting() as (environment, spans):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield spans


def record_of(message, *values, exc_info=None):
    return logging.LogRecord("retake", logging.WARNING, "", 0, message, values, exc_info)


def test_the_secrets_of_an_address_are_in_no_line_of_a_log():
    assert TextLines().format(record_of("downloading %s", SECRET)) == "downloading https://h/x?…"
    assert json.loads(JsonLines({}).format(record_of("downloading %s", SECRET)))["message"] == "downloading https://h/x?…"


@given(st.text())
def test_a_json_line_is_one_printable_line_that_its_message_is_read_from(message):
    line = JsonLines({"step": "train", "run": "http://airflow/dags/retrain/runs/r"}).format(record_of("%s", message))
    assert line.isprintable()
    assert message_of(line) == TextLines().format(record_of("%s", message))
    assert json.loads(line).keys() == {"time", "level", "message", "step", "run"}


@pytest.mark.parametrize("line", ["BadVideo: film.mp4: why", "", '{"time": 3', '{"time": 3}', '{"run_uri": "s3://x"}'])
def test_any_other_line_is_its_own_message(line):
    assert message_of(line) == line


def test_a_json_line_of_a_bug_has_its_traceback_apart():
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        line = JsonLines({}).format(record_of("ValueError: %s", error, exc_info=sys.exc_info()))
    assert json.loads(line)["message"] == "ValueError: https://h/x?…"
    assert json.loads(line)["traceback"].endswith("ValueError: https://h/x?…")


def test_a_span_is_the_child_of_airflows_and_leaves_every_other_tracing_alone(collector, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", PARENT)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    with step_span("train", {"retake.step": "train"}) as trace_id:
        assert not trace.get_current_span().is_recording()
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    ((span, process),) = collector
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("train", trace_id, "0123456789abcdef")
    assert PARENT.split("-")[1] == trace_id
    assert (texts(span), span.status.code) == ({"retake.step": "train"}, Status.STATUS_CODE_UNSET)
    assert process.items() >= {"service.name": "retake", "deployment.environment.name": "lab"}.items()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BadInput(f"{SECRET}: why"), Status.STATUS_CODE_ERROR, "https://h/x?…: why"),
        (ValueError(SECRET), Status.STATUS_CODE_ERROR, "https://h/x?…"),
        (SystemExit(75), Status.STATUS_CODE_ERROR, "75"),
        (NothingToDo("done before"), Status.STATUS_CODE_UNSET, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_the_status_of_the_span_and_goes_on(error, status, said, collector):
    with pytest.raises(type(error)), step_span("train", {}):
        raise error
    ((span, _),) = collector
    assert (span.status.code, span.status.message, texts(span)["error.type"]) == (status, said, type(error).__name__)


def test_a_run_that_airflow_does_not_sample_sends_nothing(collector, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", f"{PARENT.removesuffix('01')}00")
    with step_span("train", {}):
        pass
    assert collector == []


def test_without_a_collector_the_trace_id_is_that_of_airflow_and_nothing_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with step_span("train", {}) as trace_id:
        assert trace_id == ""
    monkeypatch.setenv("TRACEPARENT", PARENT)
    with step_span("train", {}) as trace_id:
        assert trace_id == PARENT.split("-")[1]


def test_a_malformed_variable_costs_the_span_alone(collector, monkeypatch, caplog):
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "x")
    monkeypatch.setenv("TRACEPARENT", PARENT)
    with step_span("train", {}) as trace_id:
        assert trace_id == PARENT.split("-")[1]
    assert collector == []
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be" in caplog.text


@pytest.fixture(params=["refuses", "is silent", "has no address"])
def dead_collector(request, monkeypatch):
    """A collector that a step cannot send to."""
    ended = threading.Event()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            taken.listen()
        if request.param == "has no address":
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ended.wait(60) and [])
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield ended
        ended.set()


@pytest.mark.slow
def test_a_dead_collector_neither_fails_nor_delays_a_step_nor_has_the_last_word(dead_collector, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="opentelemetry")
    monkeypatch.setattr(telemetry, "FLUSH_SECONDS", 0.2)
    others = set(threading.enumerate())
    with step_span("train", {}):
        start = time.monotonic()
    assert time.monotonic() - start < 30
    assert caplog.messages and not [line for line in caplog.messages if "retrying" in line]
    logging.getLogger("retake").error("BadVideo: a.mp4: why")
    dead_collector.set()
    for sender in set(threading.enumerate()) - others:
        sender.join(60)
    assert caplog.messages[-1] == "BadVideo: a.mp4: why"
