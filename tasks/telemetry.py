"""Write a step's log as text or JSON lines, and send its span to OpenTelemetry."""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.errors import NothingToDo
from tasks.wording import printable, without_secrets

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger("retake")

ENDPOINT_NAMES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORT_SECONDS = 0.75
"""Less than the exporter's pause before a second try, so that a refusal costs no time."""
FLUSH_SECONDS = 1.0
"""A step waits this long for its collector. No timeout of the exporter limits the look-up of a host name."""


def _clean(text: str) -> str:
    """Remove secrets and control characters: names and addresses of people's files are in logs."""
    return printable(without_secrets(text), kept="\n\t")


class TextLines(logging.Formatter):
    """Formats messages for a terminal and for logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, and the traceback of an error below it."""
        return _clean(super().format(record))


class JsonLines(logging.Formatter):
    """Formats each message as a JSON object on one line, with `context` besides."""

    def __init__(self, context: Mapping[str, str]) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as a JSON object."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": _clean(record.getMessage()),
            **self._context,
        }
        if record.exc_info:
            line["traceback"] = _clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def message_of(line: str) -> str:
    """Return the message of a JSON line, and any other line as it is."""
    if not line.startswith('{"time"'):
        return line
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError):  # a part of a line, as a pod's last words can be
        return line


@contextmanager
def step_span(step: str, attributes: Mapping[str, str]) -> Iterator[str]:
    """Send a step's span, if the environment names a collector; yield the trace id.

    `attributes` are read at the end. Nothing global is set, and the span is not made the current one: MLflow has its own tracing.
    """
    parent = {name: os.environ[name.upper()] for name in ("traceparent", "tracestate") if os.environ.get(name.upper())}
    provider = _provider() if any(map(os.environ.get, ENDPOINT_NAMES)) else None
    if provider is None:
        yield "".join(parent.get("traceparent", "").split("-")[1:2])
        return
    from opentelemetry.trace import StatusCode, format_trace_id
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    span = provider.get_tracer("retake").start_span(step, context=TraceContextTextMapPropagator().extract(parent))
    try:
        yield format_trace_id(span.get_span_context().trace_id)
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        if not isinstance(error, NothingToDo):
            span.set_status(StatusCode.ERROR, _clean(str(error)))
        raise
    finally:
        span.set_attributes(attributes)
        sender = threading.Thread(target=span.end, daemon=True)
        sender.start()
        sender.join(FLUSH_SECONDS)
        if sender.is_alive():
            # What the exporter says later must not become the last line, which names the step's error.
            logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
            log.warning("the collector has not taken the span of this step within %g s", FLUSH_SECONDS)


def _provider() -> "TracerProvider | None":
    """Make the sender of spans; None if the environment does not let it be made."""
    # Without a collector, a step does not wait for these imports.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    try:
        resource = Resource({"service.name": "retake"}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
    except Exception as error:  # noqa: BLE001 - a span is worth less than the step
        log.warning("no span of this step is sent; correct the variables OTEL_…: %s", error)
        return None
    return provider
