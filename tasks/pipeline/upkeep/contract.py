"""Describe the commands that people run to keep a store for years."""

from pathlib import Path

from pydantic import AwareDatetime, Field

from tasks.options import Options, StoreRoot
from tasks.pipeline.step import Command
from tasks.store.records.upkeep import BackupResult, RestoreResult

PLACE = "Folder of backups, s3://BUCKET/PREFIX, or s3+NAME://BUCKET/PREFIX on another server"


class BackupArguments(Options):
    """The place of backups, and the stores and files to copy there."""

    to: str = Field(description=PLACE)
    store: list[StoreRoot] = Field(
        default_factory=list, title="Stores", description="s3:// addresses of whole stores; empty takes RETAKE_STORE_URI"
    )
    artifacts: list[StoreRoot] = Field(default_factory=list, title="Artifacts", description="s3:// addresses of MLflow's artifacts")
    airflow: Path | None = Field(None, title="Airflow's database", description="File of SQLite, which may be in use, or a dump")
    mlflow: Path | None = Field(None, title="MLflow's database", description="Likewise. A dump needs --before")
    before: AwareDatetime | None = Field(
        None,
        title="Time of the dumps",
        description="Between the dump of Airflow's database and that of MLflow's, with its zone: later records are left out",
    )


class RestoreArguments(Options):
    """The place of backups, and which of them goes where."""

    source: str = Field(description=PLACE)
    snapshot: str | None = Field(None, title="Backup", description="Its name; empty takes the latest")
    verify: bool = Field(False, title="Verify", description="Check that the backup is whole, and restore nothing")
    replace: bool = Field(False, title="Replace", description="Delete what the stores hold besides")
    files: Path | None = Field(None, title="Folder of files", description="Where the databases go; empty restores the stores alone")


BACKUP = Command(
    name="backup",
    summary="copy stores, artifacts and databases into a folder or a bucket while runs go on",
    arguments=BackupArguments,
    result=BackupResult,
    positional={"to": "TO"},
)
RESTORE = Command(
    name="restore",
    summary="verify a backup, and put it into empty stores",
    arguments=RestoreArguments,
    result=RestoreResult,
    positional={"source": "FROM"},
)
