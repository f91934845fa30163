"""A collector of OpenTelemetry that keeps the spans that it gets."""

from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.http_servers import Answering, in_thread


@contextmanager
def collecting():
    """Yield the environment of a step that sends to the collector, and the spans that came, each with the attributes of its process."""
    spans = []

    class Collector(Answering):
        def do_POST(self):
            for process in ExportTraceServiceRequest.FromString(self.body()).resource_spans:
                spans.extend((span, texts(process.resource)) for scope in process.scope_spans for span in scope.spans)
            self.answer(200)

    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Collector)) as address:
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "NO_PROXY": "127.0.0.1"}, spans


def texts(owner):
    """The attributes of a span or a process."""
    return {attribute.key: attribute.value.string_value for attribute in owner.attributes}
