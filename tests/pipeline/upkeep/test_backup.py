"""A backup of a store that others write to, and what a restore of it leaves."""

import errno
import json
import os
import re
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, cycle
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.pipeline.commands import parse
from tasks.pipeline.upkeep import _snapshots, backup, restore
from tasks.pipeline.upkeep._snapshots import Backups, Bucket
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tests.pipeline.shelf import Fragile, Killed, Shelf

STORE, ARTIFACTS = "s3://retake", "s3://retake-mlflow"
POINTER = f"{STORE}/datasets/result.json"
NUM_RUNS = 8


class Busy(Shelf):
    """A store with a writer who does some of its work between any two calls, while a listing is read, too; times are whole seconds."""

    def __init__(self, works=(), paces=(0,)):
        super().__init__(buckets=("retake", "retake-mlflow"))
        self.works, self.paces, self.deleted = iter(works), cycle(paces), set()

    def tick(self):
        for _ in range(next(self.paces)):
            if work := next(self.works, None):
                work(self)
            self.now += timedelta(seconds=0.2)

    def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.tick()

    def write_bytes(self, uri, data):
        self.objects[uri], self.written[uri] = data, self.now.replace(microsecond=0)

    def delete(self, uris):
        for uri in uris:
            self.deleted.add(uri)
            self.objects.pop(uri, None)

    def list(self, prefix_uri):
        last = ""
        while uri := min((uri for uri in self.objects if uri.startswith(prefix_uri) and uri > last), default=None):
            yield super().stat(uri)
            last = uri
            self.tick()

    def read_file(self, uri, path):
        self.tick()
        super().read_file(uri, path)

    def stat(self, uri):
        self.tick()
        return super().stat(uri)


class Database:
    """A database as a file: what it has, by what was there before."""

    def __init__(self, path):
        self.path = path
        path.write_text("{}")

    def has(self, name, *objects):
        def work(_):
            self.path.write_text(json.dumps({**json.loads(self.path.read_text()), name: objects}))

        return work


def wrote(uri, *objects, rows=()):
    """Write an object that names others, and rows of MLflow's database."""
    return lambda store: store.write_bytes(uri, json.dumps({"objects": objects, "rows": rows}).encode())


def loop(number, airflow, mlflow, *, forgets):
    """What one run of the loop writes, each thing after those that it names; `forgets` deletes an earlier one."""
    run, artifact = f"{STORE}/runs/{9 - number}", f"{ARTIFACTS}/{number}/MLmodel"
    trained, registered, best = f"{run}/train/result.json", f"{run}/register/result.json", f"{run}/train/best.pt"
    move = f"{STORE}/champions/m/{number:06d}.json"
    yield wrote(best)
    yield mlflow.has(f"run {number}")
    yield wrote(f"{run}/train/epochs.json", best, rows=[f"run {number}"])
    yield wrote(trained, f"{run}/train/epochs.json", best, rows=[f"run {number}"])
    yield airflow.has(f"train {number}", trained)
    yield wrote(POINTER, trained)
    yield wrote(artifact)
    yield mlflow.has(f"version {number}", artifact, best)
    yield wrote(registered, trained, rows=[f"version {number}"])
    yield airflow.has(f"register {number}", registered)
    yield wrote(move, registered, rows=[f"version {number}"])
    yield mlflow.has("champion", move)
    if forgets:
        # Also what the pointer or a move of that run named.
        earlier = f"{STORE}/runs/{11 - number}"
        gone = [f"{STORE}/champions/m/{number - 2:06d}.json", f"{earlier}/register/result.json", f"{earlier}/train/result.json"]
        yield from (lambda store, uri=uri: store.delete([uri]) for uri in gone)
        yield lambda store: store.delete([f"{earlier}/train/epochs.json", f"{earlier}/train/best.pt"])


def backed_up(store, folder, **sources):
    """Back up; a writer goes on while the backup waits for the store's clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_snapshots.os, "sync", lambda: None)
        patch.setattr(backup.time, "sleep", getattr(store, "sleep", lambda _: None))
        return backup.back_up(store, backup.Sources(**{"stores": [STORE], "artifacts": [ARTIFACTS]} | sources), str(folder))


def restored(folder, name=None, store=None, replace=False):
    store = store or Shelf(buckets=("retake", "retake-mlflow"))
    backups, snapshot = restore.verified(str(folder), name, lambda: store)
    restore.restore_objects(store, backups, snapshot, restore.present_objects(store, snapshot, replace=replace))
    files = {}
    for kept in snapshot.files:
        with backups.content(kept.sha256) as content:
            files[kept.name] = json.loads(content.read_text())
    return store, files


@pytest.fixture(params=["folder", "bucket"])
def to(request, tmp_path, monkeypatch):
    """A place of backups: a folder, or a bucket on another server."""
    if request.param == "folder":
        return str(tmp_path / "to")
    nas, connection = Shelf(buckets=()), {"endpoint": "nas:9000", "access_key": "a", "secret_key": "tell-no-one"}
    monkeypatch.setattr(Store, "from_settings", lambda settings, connection: {("nas:9000", "nas"): nas}[settings.endpoint, connection])
    monkeypatch.setenv("RETAKE_S3_CONNECTIONS", json.dumps({"nas": connection}))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return "s3+nas://kept/backups"


def at(to):
    return Backups.at(str(to), lambda: pytest.fail("the store's own server was asked"))


def put(to, name, data):
    """Put a file among the backups, or remove it."""
    place = at(to).place
    if data is not None:
        with place.partial() as path:
            path.write_bytes(data)
            place.put(path, name)
    elif isinstance(place, Bucket):
        place.store.delete([f"s3://kept/backups/{name}"])
    else:
        (place.root / name).unlink(missing_ok=True)


@pytest.mark.slow
@settings(max_examples=30)
@example([0, 0, 1], 10, [False, False, False, False, True, True, True, False])  # deletes while a last listing is read
@given(
    st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), min_size=1, max_size=12).filter(any),
    st.integers(0, 80),
    st.lists(st.booleans(), min_size=NUM_RUNS, max_size=NUM_RUNS),
)
def test_whatever_is_written_meanwhile_all_that_a_restored_store_and_its_databases_name_is_there(
    tmp_path_factory, paces, num_before, forgets
):
    folder = tmp_path_factory.mktemp("backup")
    airflow, mlflow = Database(folder / "airflow"), Database(folder / "mlflow")
    runs = (loop(number, airflow, mlflow, forgets=number > 2 and forgets[number - 1]) for number in range(1, NUM_RUNS + 1))
    store = Busy(chain.from_iterable(runs), paces)
    for _ in range(num_before):
        next(store.works)(store)
        store.now += timedelta(seconds=0.2)
    for _ in range(2):
        backed_up(store, folder / "to", airflow=airflow.path, mlflow=mlflow.path)
        again, files = restored(folder / "to")
        records = {uri: json.loads(data) for uri, data in again.objects.items() if uri.endswith(".json")}
        assert {name for uri, record in records.items() for name in record["objects"] if uri != POINTER} <= again.objects.keys()
        assert set(records.get(POINTER, {"objects": ()})["objects"]) <= again.objects.keys() | store.deleted
        assert {row for record in records.values() for row in record["rows"]} <= files["mlflow"].keys()
        assert {uri for rows in files.values() for uris in rows.values() for uri in uris} <= again.objects.keys() | store.deleted


@pytest.mark.parametrize("num_calls", range(12))
def test_records_of_one_second_are_taken_together_or_not_at_all(tmp_path, num_calls):
    named, naming = f"{STORE}/runs/1/train/result.json", f"{STORE}/runs/3/train/result.json"
    store = Busy([wrote(named), wrote(naming, named)], [0] * num_calls + [2] + [0] * 99)
    for name in ("epochs", "result"):
        store.write_bytes(f"{STORE}/runs/2/train/{name}.json", b"{}")
    backed_up(store, tmp_path)
    again, _ = restored(tmp_path)
    assert named in again.objects or naming not in again.objects


@pytest.fixture
def store():
    shelf = Shelf(buckets=("retake", "retake-mlflow"))
    for number in range(3):
        shelf.write_bytes(f"{STORE}/videos/{number}/source.mp4", f"film {number}".encode())
        shelf.write_bytes(f"{STORE}/videos/{number}/probe.json", b"{}")
    shelf.write_bytes(f"{STORE}/runs/0/train/result.json", b"[]")
    shelf.write_bytes(f"{ARTIFACTS}/0/MLmodel", b"model")
    return shelf


def test_a_second_backup_copies_what_is_new_and_both_are_restored_by_name(store, to, tmp_path):
    before = dict(store.objects)
    first = backed_up(store, to)
    store.write_bytes(f"{STORE}/inbox/new.mp4", b"film 4")
    store.write_bytes(f"{STORE}/videos/0/source.mp4", b"film 1")
    second = backed_up(store, to)
    assert (first.num_objects, first.num_new, first.num_left_out) == (8, 8, 0)
    assert (second.num_objects, second.num_new, second.new_bytes) == (9, 2, 12)
    # Equal contents are kept once, and uploaded once.
    place = at(to).place
    num_written = place.store.now.second if isinstance(place, Bucket) else sum(path.is_file() for path in place.root.rglob("*"))
    assert num_written == 7 + len(at(to).names)
    assert restored(to, first.name)[0].objects == before
    assert restored(to)[0].objects == store.objects
    assert [path.name for path in tmp_path.iterdir()] == ([] if isinstance(place, Bucket) else ["to"])


def test_backups_of_one_millisecond_have_names_in_their_order(store, to, monkeypatch):
    monkeypatch.setattr(_snapshots, "datetime", SimpleNamespace(now=lambda _: datetime(2026, 11, 30, 4, tzinfo=UTC)))
    names = [backed_up(store, to).name for _ in range(3)]
    put(to, f"2026/{names[0]}.json", b"of other backups")
    assert names == at(to).names == [f"20261130T040000.00{number}Z" for number in range(3)]


def test_a_damaged_list_stops_no_later_backup(store, to):
    first = backed_up(store, to)
    put(to, f"{first.name}.json", b"{")
    with pytest.raises(BadInput, match=rf"{re.escape(to)}/{first.name}\.json is damaged"):
        restored(to)
    assert backed_up(store, to).num_new == 8
    assert restored(to)[0].objects == store.objects


def test_a_folder_of_backups_is_for_one_user_and_loses_what_killed_backups_left(store, tmp_path):
    folder = tmp_path / "to"
    backed_up(store, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    old, new = (folder / f".partial-{name}" for name in ("old", "new"))
    for path, age_seconds in ((old, 2 * 86_400), (new, 60)):
        path.touch()
        os.utime(path, (time.time() - age_seconds,) * 2)
    # What another backup removes at this moment.
    (gone := folder / ".partial-gone").symlink_to("nowhere")
    backed_up(store, folder)
    assert set(folder.glob(".*")) == {new, gone}


def test_a_backup_that_is_stopped_is_none_and_the_next_one_is_whole(store, to, monkeypatch):
    reads = iter([False] * 4 + [True])
    read_file = store.read_file

    def read(uri, path):
        if next(reads, False):
            raise Killed
        read_file(uri, path)

    monkeypatch.setattr(store, "read_file", read)
    with pytest.raises(Killed):
        backed_up(store, to)
    with pytest.raises(BadConfiguration, match=f"{re.escape(to)} has no complete backup; it has: none"):
        restored(to)
    backed_up(store, to)
    assert restored(to)[0].objects == store.objects


@pytest.mark.parametrize("harm", [None, b"film 9", b""])
def test_a_damaged_backup_is_refused_by_the_name_of_what_it_lacks_before_anything_is_written(store, to, harm):
    done = backed_up(store, to)
    (kept,) = (kept for kept in at(to).snapshot().objects if kept.uri.endswith("/1/source.mp4"))
    content = f"contents/{kept.sha256[:2]}/{kept.sha256}"
    put(to, content, harm)
    target = Shelf()
    with pytest.raises(
        BadInput, match=rf"{done.name} .*{STORE}/videos/1/source.mp4, or has it damaged, as {re.escape(to)}/{content}; delete"
    ):
        restored(to, store=target)
    assert not target.objects
    if harm:  # another length is seen without that
        put(to, content, None)
    assert backed_up(store, to).num_new == 1
    assert restored(to)[0].objects == store.objects


@pytest.mark.parametrize("to", ["bucket"], indirect=True)
def test_a_machine_without_room_for_a_content_of_a_bucket_is_named(store, to, tmp_path, monkeypatch):
    backed_up(store, to)

    def read_file(uri, path):
        raise OSError(errno.ENOSPC, "3 TiB are needed")

    monkeypatch.setattr(at(to).place.store, "read_file", read_file)
    with pytest.raises(Unavailable, match=rf"{re.escape(to)}/2.*json cannot be kept in {tmp_path} \(3 TiB are needed\); .*TMPDIR"):
        restored(to)


@pytest.mark.parametrize("place", [f"{STORE}/backups", STORE, f"{ARTIFACTS}/0/"])
def test_a_backup_into_what_it_copies_is_refused_and_so_is_a_restore_from_there(store, tmp_path, place):
    before = dict(store.objects)
    with pytest.raises(BadConfiguration, match=f"{place.rstrip('/')} lies in s3://.*/, which is part of the backup; name a bucket"):
        backed_up(store, place)
    assert store.objects == before
    backed_up(store, tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            store.write_bytes(f"{STORE}/backups/{path.relative_to(tmp_path)}", path.read_bytes())
    with pytest.raises(BadConfiguration, match="backups lies in"):
        restored(f"{STORE}/backups", store=store, replace=True)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("s3+nas://kept", "'s3\\+nas://kept': RETAKE_S3_CONNECTIONS has no `nas`.*add its endpoint"),
        ("https://nas/kept", "write s3://bucket/key"),
        ("~nobody-of-this-name/x", "there is no such user"),
    ],
)
def test_an_address_that_is_no_place_of_backups_is_refused(store, place, told):
    for use in (partial(backed_up, store), restored):
        with pytest.raises(BadConfiguration, match=told):
            use(place)


def test_a_store_that_has_objects_is_replaced_only_if_that_is_asked(store, tmp_path):
    backed_up(store, tmp_path)
    other = Shelf(buckets=("retake", "retake-mlflow"))
    other.write_bytes(f"{STORE}/runs/9/train/result.json", b"{}")
    with pytest.raises(BadConfiguration, match=f"{STORE}/ has objects already; --replace"):
        restored(tmp_path, store=other)
    assert len(other.objects) == 1
    assert restored(tmp_path, store=other, replace=True)[0].objects == store.objects


def test_what_a_backup_does_not_have_goes_with_its_commit_mark_first(store, tmp_path):
    backed_up(store, tmp_path)
    target = Fragile(buckets=("retake", "retake-mlflow"))
    best, mark = f"{STORE}/runs/9/train/best.ckpt", f"{STORE}/runs/9/train/result.json"
    target.objects, target.deletes_at_most = {best: b"", mark: b""}, 1
    with pytest.raises(Killed):
        restored(tmp_path, store=target, replace=True)
    assert list(target.objects) == [best]


def test_a_restore_of_an_earlier_backup_keeps_the_marks_of_forgotten_videos_and_names_them(store, tmp_path, caplog):
    backed_up(store, tmp_path)
    forgotten = Layout(STORE).forgotten
    kept = {forgotten.tombstone("0f" * 32).uri: b"{}", forgotten.receipt(1).uri: b"{}"}
    del store.objects[f"{STORE}/videos/0/source.mp4"]
    store.objects |= kept
    with caplog.at_level("WARNING", "retake"):
        restored(tmp_path, store=store, replace=True)
    assert kept.items() < store.objects.items()
    assert "0f" * 32 in caplog.text
    assert "forget them again" in caplog.text


@pytest.mark.parametrize("dies_at", range(9))
def test_a_restore_that_is_killed_leaves_no_commit_mark_without_what_it_commits_and_can_be_repeated(store, tmp_path, dies_at):
    backed_up(store, tmp_path)
    target = Fragile(buckets=("retake", "retake-mlflow"))
    target.dies_at = dies_at
    with suppress(Killed):
        restored(tmp_path, store=target)
    if any(uri.endswith("/result.json") for uri in target.objects):
        assert target.objects == store.objects
    target.dies_at = None
    assert restored(tmp_path, store=target, replace=True)[0].objects == store.objects


def test_a_database_is_copied_with_its_last_transaction_while_another_goes_on(store, tmp_path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=wal")
        database.execute("CREATE TABLE runs (id)")
        database.execute("INSERT INTO runs VALUES ('done')")
        database.commit()
        database.execute("INSERT INTO runs VALUES ('half')")
        backed_up(store, tmp_path / "to", mlflow=tmp_path / "mlflow.db")
    backups, snapshot = restore.verified(str(tmp_path / "to"), None, lambda: store)
    (tmp_path / "new.db-wal").write_bytes(b"of an earlier database")
    restore.restore_files(backups, snapshot, {"mlflow": tmp_path / "new.db"}, replace=False)
    assert not (tmp_path / "new.db-wal").exists()
    with closing(sqlite3.connect(tmp_path / "new.db")) as database:
        assert database.execute("SELECT id FROM runs").fetchall() == [("done",)]
    with pytest.raises(BadConfiguration, match=r"new\.db/mlflow cannot be written \(.*\); name another folder"):
        restore.restore_files(backups, snapshot, {"mlflow": tmp_path / "new.db" / "mlflow"}, replace=False)
    with pytest.raises(BadConfiguration, match=r"new\.db is there already"):
        restore.restore_files(backups, snapshot, {"mlflow": tmp_path / "new.db"}, replace=False)
    (kept,) = snapshot.files
    content = tmp_path / "to" / "contents" / kept.sha256[:2] / kept.sha256
    content.unlink()
    with pytest.raises(BadInput, match=rf"{content} is missing; name another backup with --snapshot"):
        restore.restore_files(backups, snapshot, {"mlflow": tmp_path / "other.db"}, replace=False)


def test_the_commands_back_up_verify_and_restore(store, to, tmp_path, monkeypatch):
    monkeypatch.setattr(backup.time, "sleep", lambda _: None)
    monkeypatch.setenv("RETAKE_STORE_URI", STORE)
    (tmp_path / "dump").write_bytes(b"PGDMP")

    def run(module, *words):
        return module.run(parse(words)[1], store)

    # Of a time before the last write, as between two dumps.
    between = store.written[f"{STORE}/videos/2/probe.json"].isoformat()
    with pytest.raises(BadConfiguration, match="dump: name a time before it with --before"):
        run(backup, "backup", to, f"--mlflow={tmp_path}/dump")
    done = run(backup, "backup", to, f"--artifacts={ARTIFACTS}", f"--mlflow={tmp_path}/dump", f"--before={between}")
    assert (done.num_objects, done.num_left_out) == (7, 1)
    verified = run(restore, "restore", to, "--verify")
    assert (verified.name, verified.files, verified.restored) == (done.name, ("mlflow",), False)
    store.write_bytes(f"{STORE}/champions/m/000001.json", b"{}")
    with pytest.raises(Unavailable, match="a champion moved"):
        run(backup, "backup", to, f"--before={between}")
    assert run(restore, "restore", to, "--replace", f"--files={tmp_path}/files").restored
    assert (tmp_path / "files" / "mlflow").read_bytes() == b"PGDMP"
    assert not any(uri.endswith("/result.json") for uri in store.objects)
