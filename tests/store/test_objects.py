"""Objects by their address: what reaches a server, and what is made of its answers."""

import errno
import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3
from pydantic import BaseModel

from tasks.errors import BadConfiguration, BadInput, MissingObject, Unavailable
from tasks.settings import StoreSettings
from tasks.store.objects import Store
from tasks.store.stored import Stored, check_key
from tests.http_servers import in_thread
from tests.store.s3_server import NO_ANSWER, S3Server

A = "s3://retake/a.json"
UNSTORABLE = [
    "s3://retake/a/../b.csv",
    "s3://retake/./b.csv",
    "s3://retake/a\\..\\b.csv",
    "s3://retake/a\0b.csv",
    "s3://retake/a\x1f.csv",
    "s3://retake/a\udce9.csv",
    f"s3://retake/{'a' * 256}",
    "s3://retake/" + "\N{EURO SIGN}" * 86,
    "s3://retake/" + "/".join(["a" * 250] * 5),
]
STORABLE = ["s3://retake/a..b/.c/...", "s3://retake/a b\n\t%00.csv", f"s3://retake/{'a' * 255}", "s3://retake/\N{EURO SIGN}/=+,;&.csv"]


class Record(BaseModel):
    number: int
    name: str = "\N{EURO SIGN}"


@pytest.fixture(scope="module")
def running():
    server = S3Server()
    with in_thread(server):
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture
def pauses(monkeypatch):
    """The seconds of each pause before a retry, which are not waited for."""
    seconds = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def store(server, pauses):
    address = {"endpoint": f"127.0.0.1:{server.server_port}", "access_key": "access", "secret_key": "secret-key"}
    return Store.from_settings(StoreSettings.model_validate(address))


def test_an_object_is_written_whole_and_read_again(store, server, tmp_path):
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(b"film")
    store.write_file("s3://retake/a/b.mp4", sent)
    store.read_file("s3://retake/a/b.mp4", got)
    store.write_bytes(A, b"{}")
    assert (store.read_bytes(A), got.read_bytes()) == (b"{}", b"film")
    assert (store.exists(A), store.exists("s3://retake/b")) == (True, False)
    assert {header["Authorization"].split("/")[0] for _, header in server.sent} == {"AWS4-HMAC-SHA256 Credential=access"}


@pytest.mark.parametrize(("status", "keeps"), [("", False), ("Enabled", True), ("Suspended", True), (None, False)])
def test_a_bucket_says_whether_it_keeps_earlier_versions(store, server, status, keeps):
    server.versioning = f"<Status>{status}</Status>" if status else ""
    server.refusals["GET"] = [(501, "NotImplemented")] if status is None else []
    assert store.keeps_versions("s3://retake") is keeps


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".mp4", "video/mp4"), (".bin", "application/octet-stream"), ("", "application/octet-stream")]
)
def test_an_object_is_typed_by_its_suffix(store, server, tmp_path, suffix, kind):
    (tmp_path / "a").touch()
    store.write_bytes(f"s3://retake/written{suffix}", b"")
    store.create_bytes(f"s3://retake/created{suffix}", b"")
    store.write_file(f"s3://retake/file{suffix}", tmp_path / "a")
    assert server.types == {f"{name}{suffix}": kind for name in ("written", "created", "file")}


def test_a_listing_names_the_objects_below_a_prefix(store, server):
    server.buckets["retake"] = dict.fromkeys(("a", "b/", "b/1", "b/2", "b/c/3", "b/d/4/5"), b"xyz")
    listed = list(store.list("s3://retake/b/"))
    assert [(entry.uri, entry.name) for entry in listed] == [(f"s3://retake/b/{key}", key[-1]) for key in ("1", "2", "c/3", "d/4/5")]
    assert {(entry.etag, entry.size_bytes, entry.modified[:10]) for entry in listed} == {("e", 3, "2026-11-28")}
    assert store.folders("s3://retake/b/") == ("s3://retake/b/c/", "s3://retake/b/d/")
    assert store.stat("s3://retake/a").size_bytes == 3
    assert [*store.list("s3://other/"), *store.folders("s3://other/")] == []
    assert store.stat("s3://other/a") is None


def test_objects_are_deleted_many_at_once_and_missing_ones_are_no_error(store, server):
    server.buckets["retake"] = {f"a/{number}": b"x" for number in range(1500)} | {"b": b"y"}
    store.delete(f"s3://retake/a/{number}" for number in range(1501))
    assert server.buckets["retake"] == {"b": b"y"}
    assert [method for method, _ in server.sent] == ["POST", "POST"]
    store.delete(["s3://nowhere/a"])
    store.delete([])


@pytest.mark.parametrize(("code", "expected"), [("AccessDenied", BadConfiguration), ("InternalError", Unavailable)])
def test_an_object_that_cannot_be_deleted_is_told(store, server, code, expected):
    server.buckets["retake"], server.undeletable = {"a": b"", "b": b""}, {"b": code}
    with pytest.raises(expected, match=code):
        store.delete(["s3://retake/a", "s3://retake/b"])
    assert list(server.buckets["retake"]) == ["b"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_uploads_that_never_ended_are_aborted_page_by_page(store, server, dry_run):
    old, new = "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"
    server.uploads = {("s/a", "1"): old, ("s/a", "2"): old, ("s/b", "3"): new, ("s/c", "4"): old, ("t/a", "5"): old}
    aborted = store.abort_uploads("s3://retake/s/", datetime(2026, 2, 1, tzinfo=UTC), dry_run=dry_run)
    assert aborted == ("s3://retake/s/a", "s3://retake/s/a", "s3://retake/s/c")
    left = {"3", "5"} | ({"1", "2", "4"} if dry_run else set())
    assert {number for _, number in server.uploads} == left
    assert store.abort_uploads("s3://none/", datetime(2026, 2, 1, tzinfo=UTC), dry_run=dry_run) == ()


def test_an_upload_that_ends_meanwhile_stops_no_other(store, server):
    server.uploads = dict.fromkeys((("a", "1"), ("b", "2")), "2026-01-01T00:00:00.000Z")
    server.refusals["DELETE"] = [(404, "NoSuchUpload")]
    store.abort_uploads("s3://retake/", datetime(2026, 2, 1, tzinfo=UTC), dry_run=False)
    assert list(server.uploads) == [("a", "1")]


def test_a_bucket_is_made_once_whoever_else_makes_it(store, server):
    for _ in range(2):
        store.ensure_bucket("s3://new/a")
    server.refusals["PUT"] = [(409, "BucketAlreadyOwnedByYou")]
    store.ensure_bucket("s3://newer")
    assert [method for method, _ in server.sent] == ["HEAD", "PUT", "HEAD", "HEAD", "PUT"]
    server.refusals["PUT"] = [(409, "BucketAlreadyExists")]
    with pytest.raises(Unavailable):
        store.ensure_bucket("s3://newest")


def test_an_object_is_created_once_by_a_conditional_write(store, server):
    assert store.create(Stored(A, Record), Record(number=1))
    assert not store.create(Stored(A, Record), Record(number=2))
    assert [headers.get("If-None-Match") for method, headers in server.sent if method == "PUT"] == ["*"]
    assert server.buckets["retake"]["a.json"] == '{"name":"\N{EURO SIGN}","number":1}\n'.encode()


def test_an_object_is_replaced_only_as_it_was_seen(store, server):
    server.buckets["retake"]["a.json"] = b"old"
    assert store.replace_bytes(A, b"new", store.stat(A))
    assert [headers.get("If-Match") for method, headers in server.sent if method == "PUT"] == ['"e"']
    server.refusals["PUT"] = [(412, ""), (404, "NoSuchKey")]  # it was changed, or deleted
    assert not any(store.replace_bytes(A, b"newer", store.stat(A)) for _ in range(2))


@pytest.mark.parametrize("status", [409, 412])
def test_another_writers_object_is_not_taken_for_ones_own(store, server, monkeypatch, status):
    server.refusals["PUT"] = [(status, "")]
    assert not store.create_bytes(A, b"mine")
    monkeypatch.setattr(Store, "read_bytes", lambda *_: b"theirs")  # of a server that ignores the condition
    assert not store.create_bytes(A, b"mine")


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        (501, BadConfiguration, r"127\.0\.0\.1:\d+ knows no conditional writes \(If-None-Match\)"),
        (403, BadConfiguration, r"refuses the keys for s3://retake/a\.json \(AccessDenied\); check RETAKE_STORE_ACCESS_KEY"),
        (NO_ANSWER, Unavailable, r"does not answer for s3://retake/a\.json \(.*; start it \(`make run` does\)"),
        (503, Unavailable, r"127\.0\.0\.1:\d+ answers 503 for s3://retake/a\.json; try again"),
    ],
)
def test_a_create_that_is_refused_is_sent_once(store, server, status, expected, message):
    server.refusals["PUT"] = [(status, "")]
    with pytest.raises(expected, match=message):
        store.create_bytes(A, b"")
    assert [method for method, _ in server.sent] == ["HEAD", "PUT"]


def test_a_record_is_read_as_it_was_written_and_another_versions_is_named(store, server):
    record = Record(number=1, name="b")
    store.write(A, record)
    store.write(Stored("s3://retake/b", Record), record)
    assert store.read(A, Record) == store.read(Stored("s3://retake/b", Record)) == record
    store.write_bytes(A, b'{"number": "x"}')
    with pytest.raises(BadInput, match=r"^s3://retake/a\.json is not a Record \(number: .*integer.*\); another version of Retake wrote it"):
        store.read(A, Record)


def test_quick_retries_bridge_a_server_that_restarts(store, server, pauses):
    store.write_bytes(A, b"x")
    for status in (500, 502, 503, 504):
        server.refusals["GET"] = [(status, "")] * 4
        assert store.read_bytes(A) == b"x"
    assert pauses == [1, 2, 4] * 4
    server.refusals["GET"] = [(503, "")] * 5
    with pytest.raises(Unavailable, match=r"does not answer for s3://retake/a\.json \(ResponseError: .*503.*\); start it"):
        store.read_bytes(A)


@pytest.mark.parametrize(
    ("codes", "expected", "message"),
    [
        (["NoSuchKey", "NoSuchBucket", "NoSuchObject"], MissingObject, "s3://retake/a.json is not in the object store"),
        (["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"], BadConfiguration, "refuses the keys .*{}"),
        (["BadRequest", "EntityTooLarge", "InvalidBucketName", "InvalidURI"], BadInput, "can never accept 's3://retake/a.json' .{}"),
        (["InvalidRequest", "KeyTooLongError", "XMinioInvalidObjectName"], BadInput, "can never accept .*{}.*; choose another name"),
        (["SlowDown"], Unavailable, "does not answer for s3://retake/a.json .S3Error: .*{}"),
    ],
)
def test_an_answer_of_the_server_becomes_an_error_of_its_kind(store, server, tmp_path, codes, expected, message):
    (tmp_path / "a").touch()
    calls = store.read_bytes, lambda uri: store.write_bytes(uri, b""), lambda uri: store.write_file(uri, tmp_path / "a")
    for code, call in product(codes, calls):
        server.refusals = {method: [(400, code)] for method in ("GET", "PUT")}
        with pytest.raises(expected, match=message.format(code)):
            call(A)


def test_refused_keys_are_told_from_missing_objects(store, server):
    server.refusals = {"GET": [(403, "AccessDenied")], "HEAD": [(403, "")] * 2}
    for call in (lambda uri: list(store.list(uri)), store.stat, store.ensure_bucket):
        with pytest.raises(BadConfiguration, match="refuses the keys for s3://retake/a"):
            call(A)


@pytest.mark.parametrize("uri", UNSTORABLE)
def test_an_address_that_no_store_keeps_is_bad_input_before_anything_is_sent(store, server, tmp_path, uri):
    (tmp_path / "a").touch()
    for write in (store.create_bytes, store.write_bytes):
        with pytest.raises(BadInput, match=r"rename|shorter names"):
            write(uri, b"")
    with pytest.raises(BadInput):
        store.write_file(uri, tmp_path / "a")
    assert server.sent == []


@pytest.mark.parametrize("uri", STORABLE)
def test_other_names_are_let_through(uri):
    check_key(uri)


@pytest.mark.parametrize("uri", ["s3://A_/a", "s3://1.2.3.4/a", "s3://retake/../a", "s3://retake/a/./b", "s3://retake/"])
def test_an_address_that_the_sdk_refuses_is_bad_input(store, server, tmp_path, uri):
    calls = [store.stat, store.read_bytes, lambda uri: store.read_file(uri, tmp_path / "a")]
    if uri == "s3://A_/a":
        calls += [store.ensure_bucket, lambda uri: list(store.list(uri))]
    for call in calls:
        with pytest.raises(BadInput, match="is not an address in the object store"):
            call(uri)
    assert server.sent == []


@pytest.mark.parametrize(
    ("error", "message"),
    [(OSError(errno.ENOSPC, "full"), r"3.* TiB are needed and .* are free"), (PermissionError(errno.EACCES, "no"), "no")],
)
def test_a_file_that_finds_no_room_leaves_nothing_and_is_told_with_its_size(tmp_path, error, message):
    def fail(tmp_file_path, **_):
        Path(tmp_file_path).touch()
        raise error

    stat = SimpleNamespace(etag="e", size=3 << 60, last_modified=None)
    store = Store(SimpleNamespace(client=SimpleNamespace(fget_object=fail, stat_object=lambda **_: stat)), None)
    with pytest.raises(OSError, match=message) as caught:
        store.read_file("s3://retake/best.pt", tmp_path / "best.pt")
    assert caught.value.errno == error.errno
    assert bool(list(tmp_path.iterdir())) == (error.errno == errno.EACCES)


NAS = "s3+nas://films/day/"


@pytest.fixture
def nas(server, monkeypatch):
    server.buckets["films"] = {"day/a.mp4": b"film"}
    connection = {"endpoint": f"127.0.0.1:{server.server_port}", "access_key": "another", "secret_key": "tell-no-one"}
    monkeypatch.setenv("RETAKE_S3_CONNECTIONS", json.dumps({"nas": connection}))


def test_objects_of_a_connection_are_read_by_its_own_keys_under_its_own_address(nas, store, server, tmp_path):
    (listed,) = store.list(NAS)
    assert list(store.list("s3+nas://films")) == [listed]
    store.read_file(listed.uri, tmp_path / "a")
    assert (listed.uri, (tmp_path / "a").read_bytes(), store.read_bytes(listed.uri)) == (f"{NAS}a.mp4", b"film", b"film")
    assert store.stat(listed.uri).size_bytes == 4
    assert {header["Authorization"].split("/")[0] for _, header in server.sent} == {"AWS4-HMAC-SHA256 Credential=another"}
    assert [store.has_bucket(uri) for uri in (NAS, "s3+nas://film/")] == [True, False]


def test_an_etag_of_any_length_names_no_file(nas, store, server, tmp_path):
    server.etag = "e" * 300
    store.read_file(f"{NAS}a.mp4", tmp_path / "a")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"film"]


def test_nothing_is_written_by_a_connection(nas, store, server, tmp_path):
    (tmp_path / "a").touch()
    writes = [("write_bytes", f"{NAS}b", b""), ("write_file", f"{NAS}b", tmp_path / "a"), ("delete", [f"{NAS}b"])]
    for name, *given in (*writes, ("ensure_bucket", "s3+nas://new")):
        with pytest.raises(BadConfiguration, match="where nothing is written"):
            getattr(store, name)(*given)
    assert server.sent == []


def test_the_server_of_a_connection_is_written_as_a_store_of_its_own(nas, pauses, server):
    opened = Store.of_connection(NAS)
    opened.write_bytes("s3://films/day/b", b"new")
    assert server.buckets["films"]["day/b"] == b"new"
    assert {header["Authorization"].split("/")[0] for _, header in server.sent} == {"AWS4-HMAC-SHA256 Credential=another"}
    server.refusals["PUT"] = [(403, "AccessDenied")]
    with pytest.raises(BadConfiguration, match="the keys of `nas` in RETAKE_S3_CONNECTIONS"):
        opened.write_bytes("s3://films/day/b", b"newer")


@pytest.mark.parametrize(
    ("code", "raised", "told"),
    [
        ("SignatureDoesNotMatch", BadConfiguration, r"refuses the keys for s3\+nas://films/day/a.*the keys of `nas`"),
        ("NoSuchKey", MissingObject, "it was moved or deleted there"),
        ("<", Unavailable, r"does not answer for s3\+nas://films/day/a.*ParseError.*check the endpoint of `nas`"),
    ],
)
def test_a_failure_of_a_connection_names_it_and_no_key(nas, store, server, code, raised, told):
    server.refusals["GET"] = [(403 if raised is BadConfiguration else 404, code)]
    with pytest.raises(raised, match=told) as caught:
        store.read_bytes(f"{NAS}a.mp4")
    assert "tell-no-one" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", r"no `nas` \(it has none\)"),
        ('{"cam": {"endpoint": "cam:1", "access_key": "a", "secret_key": "tell-no-one"}}', r"no `nas` \(it has cam\)"),
        ('{"nas": {"endpoint": "nas:1", "secret_key": "tell-no-one"}}', "RETAKE_S3_CONNECTIONS_NAS_ACCESS_KEY: Field required"),
        ('{"nas": {"endpoint": "http://nas", "access_key": "a", "secret_key": "tell-no-one"}}', "RETAKE_S3_CONNECTIONS_NAS_ENDPOINT"),
        ('{"nas": tell-no-one', "write JSON"),
    ],
)
def test_a_connection_that_is_not_set_up_is_named_with_the_remedy(store, monkeypatch, given, told):
    monkeypatch.setenv("RETAKE_S3_CONNECTIONS", given)
    with pytest.raises(BadConfiguration, match=told) as caught:
        list(store.list(NAS))
    assert "tell-no-one" not in str(caught.value)
