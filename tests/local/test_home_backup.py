"""A home is backed up and restored as a whole, on stores in memory."""

from types import SimpleNamespace

import pytest

from tasks.errors import BadConfiguration, Unavailable
from tasks.local import __main__ as commands
from tasks.local import home_backup, supervise
from tasks.local.home_folder import Credentials, Home, add_person, people
from tasks.local.servers import Server, airflow_database, mlflow_database
from tasks.local.supervise import State
from tests.pipeline.shelf import Fragile, Killed, Shelf

up = supervise.up
BUCKETS = ("retake", "retake-sample", "retake-mlflow")


@pytest.fixture
def back_up(home, tmp_path, monkeypatch):
    """Backs up a home with two stores, and returns what they hold and the place of the backup."""
    store = Shelf(buckets=BUCKETS)
    for bucket in BUCKETS:
        store.write_bytes(f"s3://{bucket}/a.json", bucket.encode())
    Credentials.load_or_create(home)
    add_person(home, "anna", "labeller")
    for path in (airflow_database(home), mlflow_database(home)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode())

    def run(*flags, to=str(tmp_path / "to"), code=0):
        with monkeypatch.context() as patch:
            patch.setattr("tasks.pipeline.upkeep.backup.time.sleep", lambda _: None)
            patch.setattr(supervise, "running", lambda _: [State(SimpleNamespace(name="store"), True, True)])
            patch.setattr(home_backup, "open_store", lambda *_: store)
            assert commands.main(["backup", to, *flags]) == code
        return store.objects, to

    return run


def killed(*_, **__):
    raise Killed


@pytest.fixture
def target(monkeypatch):
    """The store of a restored home."""
    store = Fragile(buckets=())
    store.database_when_stopped = []
    monkeypatch.setattr(home_backup, "open_store", lambda *_: store)
    monkeypatch.setattr(supervise, "up", lambda *_: [])
    monkeypatch.setattr(supervise, "down", lambda home, _: store.database_when_stopped.append(airflow_database(home).read_bytes()))
    return store


@pytest.mark.parametrize("flags", [(), ("--with-secrets",)])
def test_a_new_home_gets_stores_and_databases_and_passwords_only_if_asked(home, back_up, target, tmp_path, monkeypatch, flags):
    objects, folder = back_up(*flags)
    new = Home(tmp_path / "new")
    monkeypatch.setenv("RETAKE_HOME", str(new.root))
    assert commands.main(["restore", folder]) == 0
    assert target.objects == objects
    assert (airflow_database(new).read_bytes(), mlflow_database(new).read_bytes()) == (b"airflow.db", b"mlflow.db")
    assert {path(new).stat().st_mode & 0o777 for path in (airflow_database, mlflow_database)} == {0o600}
    # Else the first start would remove them.
    assert all(supervise.last_good_version_file(new, name).exists() for name in ("airflow", "mlflow"))
    assert (Credentials.load(new) == Credentials.load(home), people(new) == people(home)) == ((True, True) if flags else (False, False))


def test_a_home_that_has_data_is_replaced_only_if_asked_and_keeps_its_passwords(home, back_up, target, capsys):
    objects, folder = back_up("--with-secrets")
    airflow_database(home).write_bytes(b"later")
    Credentials.end_sessions(home)
    own = Credentials.load(home)
    assert commands.main(["restore", folder]) == 78
    assert "RETAKE_HOME" in capsys.readouterr().err
    assert (airflow_database(home).read_bytes(), target.objects) == (b"later", {})
    assert commands.main(["restore", folder, "--replace"]) == 0
    assert target.database_when_stopped == [b"later"]
    assert (airflow_database(home).read_bytes(), target.objects) == (b"airflow.db", objects)
    assert Credentials.load(home) == own


def test_a_home_is_restored_from_a_bucket_of_its_own_which_its_backups_leave_out(home, back_up, target, tmp_path, monkeypatch, capsys):
    for place in ("s3://kept/a", "s3://kept/b/", "s3://kept/a"):
        target.objects = dict(back_up(to=place)[0])
    contents = [uri for uri in target.objects if "/contents/" in uri]
    assert len(contents) == 2 * len([*BUCKETS, "airflow.db", "mlflow.db"])
    before = dict(target.objects)
    target.objects["s3://retake/later"] = b""
    assert commands.main(["restore", place, "--replace"]) == 0
    assert target.objects == before
    monkeypatch.setenv("RETAKE_HOME", str(tmp_path / "new"))
    assert commands.main(["restore", place]) == 78
    assert f"object store has no {place}; name another server: s3+NAME://" in capsys.readouterr().err
    assert not (tmp_path / "new" / "credentials.json").exists()


@pytest.mark.parametrize("to", ["s3://retake/backups", "s3://retake-mlflow"])
def test_a_home_does_not_leave_out_a_bucket_that_has_more_than_backups(back_up, to, capsys):
    objects, _ = back_up(to=to, code=78)
    assert len(objects) == len(BUCKETS)
    assert f"{to} lies in s3://retake" in capsys.readouterr().err


@pytest.mark.parametrize("dies_at", range(4))
def test_a_home_that_was_restored_by_half_does_not_start(home, back_up, target, monkeypatch, dies_at):
    objects, folder = back_up()
    target.dies_at = dies_at
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(home_backup, "restore_files", killed)
        commands.main(["restore", folder, "--replace"])
    with pytest.raises(BadConfiguration, match="was cut off; repeat it with --replace"):
        up(home, lambda _: None)
    target.dies_at = None
    assert commands.main(["restore", folder, "--replace"]) == 0
    assert target.objects == objects
    assert not supervise.half_restored(home).exists()


def test_a_backup_needs_the_object_store(home, tmp_path, capsys):
    assert commands.main(["backup", str(tmp_path / "to")]) == 78
    assert "`make start`" in capsys.readouterr().err


@pytest.mark.parametrize(("last", "is_migrated"), [(None, False), ("3.18", False), ("3.17", True), ("", True)])
def test_a_database_of_another_version_is_brought_up_to_date_before_its_server_starts(home, tmp_path, monkeypatch, last, is_migrated):
    database, done = tmp_path / "mlflow.db", tmp_path / "done"
    database.touch()
    if last is not None:
        supervise.last_good_version_file(home, "mlflow").write_text(last)
    migration = ("/bin/sh", "-c", f"test -e {database} && touch {done}")
    server = Server("mlflow", ["/bin/sleep", "60"], {}, {"mlflow": 1}, lambda: True, 1, database, "3.18", migration)
    monkeypatch.setattr(supervise, "all_servers", lambda *_: [server])
    supervise.up(home, lambda _: None, ("mlflow",))
    assert (done.exists(), supervise.last_good_version_file(home, "mlflow").read_text()) == (is_migrated, "3.18")


def test_a_database_that_cannot_be_brought_up_to_date_is_told_with_the_end_of_the_log(home, tmp_path, monkeypatch):
    supervise.last_good_version_file(home, "mlflow").write_text("3.19")
    migration = ("/bin/sh", "-c", "echo no such revision >&2; exit 1")
    server = Server("mlflow", ["/bin/sleep", "60"], {}, {"mlflow": 1}, lambda: True, 1, tmp_path / "mlflow.db", "3.18", migration)
    monkeypatch.setattr(supervise, "all_servers", lambda *_: [server])
    with pytest.raises(Unavailable, match=r"another version.*mlflow\.log.*\n.*no such revision"):
        supervise.up(home, lambda _: None, ("mlflow",))
