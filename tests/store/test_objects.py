"""What no object store can ever keep is bad input, before a server is asked and by its answer."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from minio import Minio
from minio.error import S3Error

from tasks.errors import BadInput, Unavailable
from tasks.store.objects import Store
from tasks.store.uri import check_key

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


@pytest.fixture
def store():
    """No request reaches a server."""
    return Store(Minio(endpoint="127.0.0.1:9"), None, "127.0.0.1:9")  # type: ignore[arg-type]


@pytest.mark.parametrize("uri", UNSTORABLE)
def test_what_cannot_be_kept_is_bad_input_before_anything_is_sent(store, tmp_path, uri):
    (tmp_path / "a").touch()
    for write in (store.create_bytes, store.write_bytes):
        with pytest.raises(BadInput, match=r"rename|shorter names"):
            write(uri, b"")
    with pytest.raises(BadInput):
        store.write_file(uri, tmp_path / "a")


@pytest.mark.parametrize("uri", STORABLE)
def test_other_names_are_let_through(uri):
    check_key(uri)


@pytest.mark.parametrize("uri", ["s3://A_/a", "s3://1.2.3.4/a", "s3://retake/../a", "s3://retake/a/./b", "s3://retake/"])
def test_an_address_that_the_sdk_refuses_is_bad_input(store, tmp_path, uri):
    for read in (store.stat, store.read_bytes, lambda uri: store.read_file(uri, tmp_path / "a")):
        with pytest.raises(BadInput, match="is not an address in the object store"):
            read(uri)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("KeyTooLongError", BadInput), ("XMinioInvalidObjectName", BadInput), ("InvalidRequest", BadInput), ("SlowDown", Unavailable)],
)
def test_the_servers_answer_tells_what_it_will_never_accept(code, expected):
    def refuse(**_):
        raise S3Error(None, code, "no", "/a", "", "")  # type: ignore[arg-type]

    store = Store(SimpleNamespace(get_object=refuse), None, "here")  # type: ignore[arg-type]
    with pytest.raises(expected):
        store.read_bytes("s3://retake/a")


def test_a_file_that_finds_no_room_leaves_nothing_and_is_told_with_its_size(tmp_path):
    def fill_the_disk(file_path, **_):
        Path(f"{file_path}.etag.part.minio").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    found = SimpleNamespace(etag="e", size=3 << 60, last_modified=None)
    store = Store(SimpleNamespace(fget_object=fill_the_disk, stat_object=lambda **_: found), None, "here")  # type: ignore[arg-type]
    with pytest.raises(OSError, match=r"3.* TiB are needed and .* are free") as caught:
        store.read_file("s3://retake/best.pt", tmp_path / "best.pt")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())
