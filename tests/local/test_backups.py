"""A home is backed up and restored as a whole, on stores in memory."""

from types import SimpleNamespace

import pytest

from tasks.local import __main__ as commands
from tasks.local import backups, supervise
from tasks.local.home import Credentials, Home, add_person, people
from tasks.local.servers import airflow_database, mlflow_database
from tasks.local.supervise import State
from tests.pipeline.shelf import Shelf

BUCKETS = ("retake", "retake-sample", "retake-mlflow")


@pytest.fixture
def back_up(home, tmp_path, monkeypatch):
    """Backs up a home with two stores, and returns what they hold and the folder of the backup."""
    store = Shelf(buckets=BUCKETS)
    for bucket in BUCKETS:
        store.write_bytes(f"s3://{bucket}/a.json", bucket.encode())
    Credentials.load_or_create(home)
    add_person(home, "anna", "labeller")
    for path in (airflow_database(home), mlflow_database(home)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode())

    def run(*flags):
        with monkeypatch.context() as patch:
            patch.setattr("tasks.pipeline.upkeep.backup.time.sleep", lambda _: None)
            patch.setattr(supervise, "running", lambda _: [State(SimpleNamespace(name="store"), True, True)])
            patch.setattr(backups, "open_store", lambda *_: store)
            assert commands.main(["backup", str(tmp_path / "to"), *flags]) == 0
        return store.objects, str(tmp_path / "to")

    return run


@pytest.fixture
def target(monkeypatch):
    """The store of a restored home."""
    store = Shelf(buckets=())
    monkeypatch.setattr(backups, "open_store", lambda *_: store)
    monkeypatch.setattr(supervise, "up", lambda *_: [])
    monkeypatch.setattr(supervise, "down", lambda *_: None)
    return store


@pytest.mark.parametrize("flags", [(), ("--with-secrets",)])
def test_a_new_home_gets_stores_and_databases_and_passwords_only_if_asked(home, back_up, target, tmp_path, monkeypatch, flags):
    objects, folder = back_up(*flags)
    new = Home(tmp_path / "new")
    monkeypatch.setenv("RETAKE_HOME", str(new.root))
    assert commands.main(["restore", folder]) == 0
    assert target.objects == objects
    assert (airflow_database(new).read_bytes(), mlflow_database(new).read_bytes()) == (b"airflow.db", b"mlflow.db")
    # Else the first start would remove them.
    assert all(supervise.was_well(new, name).exists() for name in ("airflow", "mlflow"))
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
    assert (airflow_database(home).read_bytes(), target.objects) == (b"airflow.db", objects)
    assert Credentials.load(home) == own


def test_a_backup_needs_the_object_store(home, tmp_path, capsys):
    assert commands.main(["backup", str(tmp_path / "to")]) == 78
    assert "`make start`" in capsys.readouterr().err
