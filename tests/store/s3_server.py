"""A small S3 server in this process, which can be told how to answer."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NO_ANSWER = 0
LISTING = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>retake</Name>{}</ListBucketResult>'

BUCKETS = '<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets>{}</Buckets></ListAllMyBucketsResult>'


class S3Server(ThreadingHTTPServer):
    """Buckets with objects by name. `refusals` has the status and code of the next answers to a method, `sent` the headers of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {"retake": {}}
        self.types: dict[str, str | None] = {}
        self.refusals: dict[str, list[tuple[int, str]]] = {}
        self.sent: list[tuple[str, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: S3Server

    def answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.sent.append((self.command, dict(self.headers)))
        address = urlsplit(self.path)
        bucket, _, key = unquote(address.path[1:]).partition("/")
        objects = self.server.buckets.get(bucket)
        if refusals := self.server.refusals.get(self.command):
            self.refuse(*refusals.pop(0))
        elif not bucket:
            self.reply(BUCKETS.format("".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in self.server.buckets)).encode())
        elif self.command == "PUT" and not key:
            self.server.buckets[bucket] = {}
            self.reply(b"")
        elif objects is None:
            self.refuse(404, "NoSuchBucket")
        elif self.command == "PUT":
            objects[key], self.server.types[key] = data, self.headers["content-type"]
            self.reply(data)
        elif self.command == "DELETE":
            objects.pop(key, None)
            self.reply(b"", 204)
        elif not key:
            self.reply(_listing(objects, parse_qs(address.query)) if address.query else b"")
        elif key in objects:
            self.reply(objects[key])
        else:
            self.refuse(404, "NoSuchKey")

    do_DELETE = do_GET = do_HEAD = do_PUT = answer  # noqa: N815

    def refuse(self, status: int, code: str) -> None:
        if status == NO_ANSWER:
            return
        self.reply(f"<Error><Code>{code}</Code></Error>".encode(), status)

    def reply(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/xml")
        self.send_header("etag", '"e"')
        self.send_header("last-modified", "Sat, 28 Nov 2026 12:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _listing(objects: dict[str, bytes], query: dict[str, list[str]]) -> bytes:
    prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
    places = {}
    for key, data in sorted(objects.items()):
        rest = key.removeprefix(prefix)
        if key.startswith(prefix) and delimiter and delimiter in rest:
            folder = f"{prefix}{rest.partition(delimiter)[0]}/"
            places[folder] = f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
        elif key.startswith(prefix):
            tags = f'<Key>{escape(key)}</Key><ETag>"e"</ETag><Size>{len(data)}</Size><LastModified>2026-11-28T12:00:00.000Z</LastModified>'
            places[key] = f"<Contents>{tags}</Contents>"
    return LISTING.format("".join(places.values())).encode()
