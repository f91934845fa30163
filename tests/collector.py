"""A collector of OpenTelemetry that keeps the spans that it gets."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.http_servers import in_thread


@contextmanager
def collecting():
    """Yield the environment of a step that sends to the collector, and the spans that came, each with the attributes of its process."""
    spans = []

    class Collector(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for process in sent.resource_spans:
                spans.extend((span, texts(process.resource)) for scope in process.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Collector)) as address:
        yield {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "NO_PROXY": "127.0.0.1"}, spans


def texts(owner):
    """The attributes of a span or a process."""
    return {attribute.key: attribute.value.string_value for attribute in owner.attributes}
