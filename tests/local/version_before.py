"""A backup of a store that version 0.2.0 wrote, with databases of earlier schemas."""

import os
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

from tasks.local.home_folder import REPOSITORY
from tasks.local.run import SAMPLE_STORE
from tasks.local.servers import MLFLOW_BUCKET
from tasks.pipeline.upkeep.backup import Sources, back_up
from tests.pipeline.shelf import Shelf

WRITTEN = REPOSITORY / "tests" / "store" / "version_0_2_0.zip"
AIRFLOW_VERSION, MLFLOW_REVISION = "3.2.0", "c3d9e7f1a2b4"
POOL, MODEL = "kept", "retake-tsn-sample"
OLD_MLFLOW = """
import sys, sqlalchemy
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
address, revision = sys.argv[1:]
Base.metadata.create_all(sqlalchemy.create_engine(address))
command.upgrade(_get_alembic_config(address), revision)
"""


def objects() -> dict[str, bytes]:
    """Read the objects of a store of version 0.2.0, by their address."""
    with zipfile.ZipFile(WRITTEN) as archive:
        names = [name for name in archive.namelist() if name.startswith("store/")]
        return {f"{SAMPLE_STORE}/{name.removeprefix('store/')}": archive.read(name) for name in names}


def make_backup(folder: Path) -> str:
    """Back up that store with a pool of Airflow and a version of MLflow, in databases of earlier schemas."""
    store = Shelf(buckets=("retake-sample", "retake-mlflow"))
    for uri, data in objects().items():
        store.write_bytes(uri, data)
    sources = Sources([SAMPLE_STORE], [MLFLOW_BUCKET], _airflow(folder / "old-airflow.db"), _mlflow(folder / "old-mlflow.db"))
    to = str(folder / "backups")
    back_up(store, sources, to)
    return to


def _airflow(path: Path) -> Path:
    settings = {"AIRFLOW_HOME": str(path.parent / "old-airflow"), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{path}"}
    migrate = [sys.executable, "-m", "airflow", "db", "migrate", "--to-version", AIRFLOW_VERSION]
    subprocess.run(migrate, env={**os.environ, **settings}, capture_output=True, check=True, timeout=200)
    return _with_row(path, "slot_pool", pool=POOL, slots=7, include_deferred=0)


def _mlflow(path: Path) -> Path:
    subprocess.run([sys.executable, "-c", OLD_MLFLOW, f"sqlite:///{path}", MLFLOW_REVISION], capture_output=True, check=True, timeout=200)
    key = {"name": MODEL, "workspace": "default", "creation_time": 1, "last_updated_time": 1}
    _with_row(path, "registered_models", **key)
    return _with_row(path, "model_versions", **key, version=1, current_stage="None", description="of the version before", status="READY")


def _with_row(path: Path, table: str, **values: object) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()])  # noqa: S608 - our own names
        database.commit()
    return path
