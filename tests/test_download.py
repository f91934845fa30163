import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from http.server import ThreadingHTTPServer

import pytest

from tasks import disk
from tasks import download as module
from tasks.download import download, is_url
from tasks.errors import BadInput, Unavailable
from tests.http_servers import Answering, in_thread

CONTENT = bytes(range(256)) * 64
NUM_BYTES = len(CONTENT)
PRIVATE, PUBLIC = "127.0.0.1", "127.0.0.2"
"""The second only plays that, since no public address can be reached from everywhere."""


def _empty_blocks(num_bytes):
    """A gzip that has no content and no end."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * (num_bytes // 5)


BOMB = gzip.compress(bytes(64 << 20))
ENCODED = {
    "raw": (CONTENT, "gzip"),
    "gzip": (gzip.compress(CONTENT), "gzip"),
    "x-gzip": (gzip.compress(CONTENT), "X-GZIP"),
    "identity": (CONTENT, "identity"),
    "twice": (gzip.compress(gzip.compress(CONTENT)), "gzip, gzip"),
    "br": (CONTENT, "br"),
    "bomb": (BOMB, "gzip"),
    "bomb-in-bomb": (gzip.compress(BOMB), "gzip, gzip"),
    "cut": (gzip.compress(CONTENT)[:-9], "gzip"),
    "more": (gzip.compress(CONTENT) + b"more", "gzip"),
    "empty": (_empty_blocks(NUM_BYTES), "gzip"),
}


REDIRECTS = {"malformed": "http://[::1/a", "file": "file:///etc/passwd", "loop": "/to/loop"}


class Handler(Answering):
    """Answers by path; `server.hosts` keeps the Host header of each request."""

    def do_GET(self):
        self.server.hosts.append(self.headers["host"])
        action, _, rest = self.path.strip("/").partition("/")
        if action == "to":
            self.answer(302, location={**REDIRECTS, "private": f"http://{PRIVATE}:{self.server.server_port}/file"}[rest])
        elif action == "status":
            self.answer(int(rest))
        elif action == "as":
            self.answer(200, ENCODED[rest][0], **{"content-encoding": ENCODED[rest][1]})
        elif action == "drip":
            self.drip(rest)
        elif action == "cut":
            self.answer(200, CONTENT[:100], **{"content-length": str(NUM_BYTES)})
        else:
            self.answer(200, CONTENT, **({"content-length": None} if action == "unannounced" else {}))

    def drip(self, part):
        """A byte now and then, until the other side has had enough."""
        begin = b"HTTP/1.1 200 OK\r\n" + (b"x: " if part == "headers" else b"content-type: text/csv\r\n\r\n")
        try:
            self.wfile.write(begin)
            while not self.server.ended.wait(0.05):
                self.wfile.write(b"a")
        except OSError:
            self.close_connection = True


@pytest.fixture(scope="module")
def server():
    """The same at both addresses, on one port: of the first, where others listen, too, the kernel chooses a free one."""
    private = ThreadingHTTPServer((PRIVATE, 0), Handler)
    public = ThreadingHTTPServer((PUBLIC, private.server_port), Handler)
    public.hosts = private.hosts = []
    public.ended = private.ended = threading.Event()
    with in_thread(public), in_thread(private):
        yield public
        public.ended.set()


@pytest.fixture
def address(server, monkeypatch):
    """The server under an address that counts as public."""
    server.hosts.clear()
    monkeypatch.setattr(module, "is_public", lambda address: address == PUBLIC)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return f"http://{PUBLIC}:{server.server_port}"


@pytest.fixture
def fetch(tmp_path):
    def call(url, max_bytes=NUM_BYTES, allow_private=False):
        path = tmp_path / "file"
        try:
            download(url, path, max_bytes=max_bytes, allow_private=allow_private)
        except Exception:
            assert not path.exists()
            raise
        return path.read_bytes()

    return call


@pytest.mark.parametrize("path", ["file", "unannounced", "as/gzip", "as/x-gzip", "as/identity"])
def test_a_file_arrives_whole_and_decoded(address, fetch, path):
    assert fetch(f"{address}/{path}") == CONTENT


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("to/private", "private address"),
        ("to/file", "only http and https"),
        ("to/malformed", r"/to/malformed' is not .*the server redirects to 'http://\[::1/a'"),
        *((f"status/{code}", f"/status/{code}: the server answers {code} .* without a redirect address") for code in (300, 302, 304, 308)),
        ("status/404", "404 Not Found"),
        ("as/raw", "/as/raw: .*declares gzip but sends other data"),
        ("as/twice", "/as/twice: .*as 'gzip, gzip'; only gzip"),
        ("as/br", "/as/br: .*as 'br'; only gzip"),
        ("as/cut", "/as/cut: .*gzip data is truncated"),
        ("as/more", "/as/more: .*extra data after the gzip"),
        ("as/empty", "/as/empty: .*larger than the limit"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_at_once(address, server, fetch, path, told):
    with pytest.raises(BadInput, match=told):
        fetch(f"{address}/{path}")
    assert len(server.hosts) == 1


@pytest.mark.parametrize("path", ["file", "unannounced"])
def test_one_byte_too_many_is_refused(address, fetch, path):
    with pytest.raises(BadInput, match=f"/{path}: larger than the limit"):
        fetch(f"{address}/{path}", max_bytes=NUM_BYTES - 1)


@pytest.mark.parametrize("url", ["ftp://example.org/a.mp4", "file:///etc/passwd", "http:///a.mp4", "concat://a|b"])
def test_other_schemes_are_refused(fetch, url):
    assert is_url(url)
    with pytest.raises(BadInput, match="only http and https"):
        fetch(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:99999/a.mp4", "Port out of range"),
        ("http://127.0.0.1:x/a.mp4", "Port could not be cast"),
        ("http://[::1/a.mp4", "Invalid IPv6 URL"),
        ("http://a..b/a.mp4", "host name is malformed"),
        (f"http://{'a' * 64}.example/a.mp4", "host name is malformed"),
        ("http://127.0.0.1:9/\0.mp4", "non-printable"),
    ],
)
def test_a_malformed_address_is_named_in_one_line(fetch, url, told):
    with pytest.raises(BadInput, match=told) as caught:
        fetch(url, allow_private=True)
    assert repr(url) in str(caught.value)
    assert "\n" not in str(caught.value)


PRIVATE_HOSTS = [
    "127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "224.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fec0::1]", "[fe80::1]", "[fd00::1]", "[ff0e::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_private_addresses_are_refused(fetch, host):
    with pytest.raises(BadInput, match="private address; set RETAKE_ALLOW_PRIVATE_ADDRESSES=true"):
        fetch(f"http://{host}:9/a.mp4")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e", "::ffff:93.184.215.14"])
def test_public_addresses_are_known_in_every_spelling(address):
    assert module.is_public(address)


def test_a_redirect_to_a_private_address_is_followed_where_that_is_allowed(address, fetch):
    assert fetch(f"{address}/to/private", allow_private=True) == CONTENT


@pytest.mark.parametrize("encoded", ["bomb", "bomb-in-bomb"])
def test_a_bomb_is_refused_before_it_fills_the_memory(address, fetch, encoded):
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            fetch(f"{address}/as/{encoded}", max_bytes=8 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", ["headers", "content"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up_and_not_asked_again(address, fetch, monkeypatch, part):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: pytest.fail("it is asked again"))
    with pytest.raises(Unavailable, match=f"/drip/{part} cannot be downloaded: the server sends less than 256 KiB per second"):
        fetch(f"{address}/drip/{part}")


def test_redirects_end(address, fetch):
    with pytest.raises(BadInput, match="more than 5 redirects"):
        fetch(f"{address}/to/loop")


def test_a_name_cannot_point_elsewhere_between_the_check_and_the_download(address, server, fetch, monkeypatch):
    port = server.server_port
    answers = iter([PUBLIC, PRIVATE])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))])
    connect = asyncio.BaseEventLoop.create_connection
    reached = []

    def note(loop, protocol, host, *rest, **options):
        reached.append(host)
        return connect(loop, protocol, PUBLIC, *rest, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", note)
    assert fetch(f"http://films.example:{port}/file") == CONTENT
    assert (reached, server.hosts) == ([PUBLIC], [f"films.example:{port}"])


def test_a_name_with_letters_of_any_language_is_asked_for_as_dns_spells_it(address, server, fetch, monkeypatch):
    port = server.server_port
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))])
    assert fetch(f"http://küche.example:{port}/file") == CONTENT
    assert server.hosts == [f"xn--kche-0ra.example:{port}"]


@pytest.mark.parametrize(("path", "told"), [("status/503", "503"), ("cut", "cannot be downloaded")])
def test_a_server_in_trouble_is_asked_again(address, server, fetch, path, told):
    with pytest.raises(Unavailable, match=told):
        fetch(f"{address}/{path}")
    assert len(server.hosts) == 3


def test_a_file_that_finds_no_room_is_not_begun(address, server, fetch, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: disk.shutil._ntuple_diskusage(1, 1, NUM_BYTES // 2))
    with pytest.raises(OSError, match="16 KiB are needed and 8 KiB are free"):
        fetch(f"{address}/file")
    assert len(server.hosts) == 1
