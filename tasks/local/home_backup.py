"""Back up a home while its servers run (`make backup`), and restore it (`make restore`)."""

from pathlib import Path

from tasks.errors import BadConfiguration
from tasks.local import supervise
from tasks.local.home_folder import Credentials, Home, people_file
from tasks.local.run import open_store
from tasks.local.servers import MLFLOW_BUCKET, airflow_database, mlflow_database
from tasks.local.supervise import Announce
from tasks.pipeline.upkeep.backup import Sources, back_up, stores_to_copy
from tasks.pipeline.upkeep.restore import present_objects, restore_files, restore_objects, verified
from tasks.store.objects import Store
from tasks.store.records.upkeep import BackupResult, Snapshot


def back_up_home(home: Home, to: str, *, with_secrets: bool) -> BackupResult:
    """Back up all stores, MLflow and Airflow; passwords and keys only if asked.

    Raises:
        BadConfiguration: the object store does not run.
        Unavailable: see `back_up`.
    """
    states = supervise.running(home)
    if not any(state.is_healthy for state in states if state.server.name == "store"):
        raise BadConfiguration(f"the object store of {home.root} does not run; start it: `make start`")
    store = open_store(home, [state.server for state in states])
    sources = Sources(
        stores=[uri for uri in stores_to_copy(store, to) if uri != MLFLOW_BUCKET],
        artifacts=[MLFLOW_BUCKET],
        airflow=_if_there(airflow_database(home)),
        mlflow=_if_there(mlflow_database(home)),
        others={name: path for name, path in _secrets(home).items() if with_secrets and path.exists()},
    )
    return back_up(store, sources, to)


def restore_home(home: Home, source: str, name: str | None, announce: Announce, *, replace: bool) -> Snapshot:
    """Restore a backup into a home, and leave its object store running. Hold the lock.

    A home that has credentials keeps them.

    Raises:
        BadConfiguration: the home has data, and is not to be replaced, or has no store that the backup could lie in.
        BadInput: the backup is damaged.
    """

    def opened() -> Store:
        if not home.credentials_file.exists():
            raise BadConfiguration(f"{home.root} is new, so its object store has no {source}; name another server: s3+NAME://bucket/prefix")
        return open_store(home, supervise.up(home, announce, ("store",)))

    backups, snapshot = verified(source, name, opened)
    databases = {"airflow": airflow_database(home), "mlflow": mlflow_database(home)}
    if not replace and any(path.exists() for path in databases.values()):
        raise BadConfiguration(f"{home.root} has data of its own; set RETAKE_HOME to a new folder, or replace it with --replace")
    if replace:
        supervise.down(home, announce)
    secrets = _secrets(home)
    if not secrets["credentials.json"].exists():
        restore_files(backups, snapshot, secrets, replace=replace)
    Credentials.load_or_create(home)
    store = opened()
    present = present_objects(store, snapshot, replace=replace)
    supervise.half_restored(home).touch()
    restore_objects(store, backups, snapshot, present)
    restore_files(backups, snapshot, databases, replace=True)
    for server in databases:
        supervise.last_good_version_file(home, server).write_text("")  # of an unknown version
    supervise.half_restored(home).unlink()
    return snapshot


def _secrets(home: Home) -> dict[str, Path]:
    return {path.name: path for path in (home.credentials_file, people_file(home))}


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None
