"""A small S3 server in this process, which can be told how to answer."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NO_ANSWER = 0
UPLOADS = '<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</ListMultipartUploadsResult>'
LISTING = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>retake</Name>{}</ListBucketResult>'
VERSIONING = '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</VersioningConfiguration>'


class S3Server(ThreadingHTTPServer):
    """Buckets with objects by name. `refusals` has the status and code of the next answers to a method, `sent` the headers of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {"retake": {}}
        self.versioning, self.etag = "", '"e"'
        self.types: dict[str, str | None] = {}
        self.uploads: dict[tuple[str, str], str] = {}
        """Of uploads in parts, by key and id, when they began."""
        self.undeletable: dict[str, str] = {}
        """By key, the code with which its deletion is refused."""
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
        elif self.command == "PUT" and not key:
            self.server.buckets[bucket] = {}
            self.reply(b"")
        elif objects is None:
            self.refuse(404, "NoSuchBucket")
        elif self.command == "PUT":
            objects[key], self.server.types[key] = data, self.headers["content-type"]
            self.reply(data)
        elif self.command == "POST":
            wanted = re.findall("<Key>(.*?)</Key>", data.decode())
            for name in wanted:
                if name not in self.server.undeletable:
                    objects.pop(name, None)
            refused = [(name, self.server.undeletable[name]) for name in wanted if name in self.server.undeletable]
            errors = [f"<Error><Key>{name}</Key><Code>{code}</Code></Error>" for name, code in refused]
            self.reply(f"<DeleteResult>{''.join(errors)}</DeleteResult>".encode())
        elif self.command == "DELETE":
            del self.server.uploads[key, parse_qs(address.query)["uploadId"][0]]
            self.reply(b"", 204)
        elif "uploads" in parse_qs(address.query, keep_blank_values=True):
            self.reply(_uploads(self.server.uploads, parse_qs(address.query)))
        elif "versioning" in parse_qs(address.query, keep_blank_values=True):
            self.reply(VERSIONING.format(self.server.versioning).encode())
        elif not key:
            self.reply(_listing(objects, parse_qs(address.query)) if address.query else b"")
        elif key in objects:
            self.reply(objects[key])
        else:
            self.refuse(404, "NoSuchKey")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def refuse(self, status: int, code: str) -> None:
        if status != NO_ANSWER:
            self.reply(f"<Error><Code>{code}</Code></Error>".encode(), status)

    def reply(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/xml")
        self.send_header("etag", self.server.etag)
        self.send_header("last-modified", "Sat, 28 Nov 2026 12:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _uploads(uploads: dict[tuple[str, str], str], query: dict[str, list[str]]) -> bytes:
    """List one upload after the markers, so that a client has to ask for the next."""
    # Without the marker of an id, all uploads of the marked key are behind it.
    after = query.get("key-marker", [""])[0], query.get("upload-id-marker", ["~"])[0]
    left = [upload for upload in sorted(uploads) if upload > after and upload[0].startswith(query.get("prefix", [""])[0])]
    tags = [
        f"<Upload><Key>{key}</Key><UploadId>{number}</UploadId><Initiated>{uploads[key, number]}</Initiated></Upload>"
        for key, number in left[:1]
    ]
    marker = f"<NextKeyMarker>{left[0][0]}</NextKeyMarker><IsTruncated>{'true' if left[1:] else 'false'}</IsTruncated>" if left else ""
    return UPLOADS.format("".join(tags) + marker).encode()


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
