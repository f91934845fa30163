"""Keep backups in a folder: contents under their hashes, and for each backup a list of them, which is written last."""

import hashlib
import os
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from tasks.disk import full_disk
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.store.objects import to_json
from tasks.store.records.backup import Content, KeptFile, Snapshot
from tasks.wording import some

_SQLITE = b"SQLite format 3\0"
_PARTIAL = ".partial-"
_MAYBE_IN_USE_SECONDS = 86_400
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z")


@dataclass(frozen=True)
class Backups:
    """A folder of backups, each a list `<name>.json`; they share `contents/`."""

    folder: Path

    @property
    def names(self) -> list[str]:
        """List the backups that were completed, oldest first."""
        return sorted(path.stem for path in self.folder.glob("*.json") if _NAME.fullmatch(path.stem))

    def free_name(self) -> str:
        """Name a new backup by the time, in milliseconds."""
        now, taken = datetime.now(UTC), self.names
        while (name := f"{now:%Y%m%dT%H%M%S.%f}"[:-3] + "Z") in taken:
            now += timedelta(milliseconds=1)
        return name

    def snapshot(self, name: str | None = None) -> Snapshot:
        """Read the list of a backup, by default of the latest.

        Raises:
            BadConfiguration: there is no such backup.
            BadInput: its list is damaged.
        """
        names = self.names
        chosen = name or (names[-1] if names else "")
        if chosen not in names:
            raise BadConfiguration(f"{self.folder} has no complete backup {chosen}".rstrip() + f"; it has: {some(names[::-1]) or 'none'}")
        path = self.folder / f"{chosen}.json"
        try:
            return Snapshot.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise BadInput(f"{path} is damaged ({error.errors()[0]['msg']}); name another backup with --snapshot") from None

    def write(self, snapshot: Snapshot) -> None:
        """Complete a backup by its list, once its contents are on the disk."""
        os.sync()
        with self.partial() as path:
            path.write_bytes(to_json(snapshot))
            path.replace(self.folder / f"{snapshot.name}.json")

    def content(self, sha256: str) -> Path:
        """Locate a content."""
        return self.folder / "contents" / sha256[:2] / sha256

    def has(self, content: Content) -> bool:
        """Check whether a content is there in its length."""
        path = self.content(content.sha256)
        return path.is_file() and path.stat().st_size == content.size_bytes

    def keep(self, path: Path) -> Content:
        """Move a file to its place among the contents."""
        content = Content(sha256=_sha256(path), size_bytes=path.stat().st_size)
        if self.has(content):
            path.unlink()
        else:
            self.content(content.sha256).parent.mkdir(parents=True, exist_ok=True)
            path.replace(self.content(content.sha256))
        return content

    def keep_file(self, name: str, path: Path) -> KeptFile:
        """Copy a file; a database of SQLite as it is between two transactions, though a server writes to it.

        Raises:
            BadConfiguration: it cannot be read.
            Unavailable: the database stays locked.
        """
        with self.partial() as copy:
            try:
                if is_sqlite(path):
                    with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(copy)) as target:
                        source.backup(target)
                else:
                    shutil.copyfile(path, copy)
            except sqlite3.Error as error:
                raise Unavailable(f"{path} cannot be copied ({error}); try again") from error
            except OSError as error:
                if full_disk(error):
                    raise
                raise BadConfiguration(f"{path}: {error.strerror}; name a file that can be read") from None
            return KeptFile(name=name, **self.keep(copy).model_dump())

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """Yield the path of a file to write, which is removed unless it was moved."""
        path = self.folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder, which other users cannot read, and remove what killed backups left there.

        Raises:
            BadConfiguration: it cannot be written.
            Unavailable: its disk is full.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self.folder.glob(f"{_PARTIAL}*"):
                if time.time() - path.stat().st_mtime > _MAYBE_IN_USE_SECONDS:
                    path.unlink()
            yield
        except OSError as error:
            if full_disk(error):
                raise Unavailable(f"the disk of {self.folder} is full; make room there and run again") from error
            raise BadConfiguration(f"{self.folder} cannot be written ({error.strerror}); name another folder") from error

    def verify(self, snapshot: Snapshot) -> None:
        """Check that each content of a backup is there with its hash.

        Raises:
            BadInput: some are missing or damaged.
        """
        damaged = {
            sha256 for sha256, content in snapshot.contents.items() if not (self.has(content) and _sha256(self.content(sha256)) == sha256)
        }
        if damaged:
            named = [entry.uri for entry in snapshot.objects if entry.sha256 in damaged]
            named += [entry.name for entry in snapshot.files if entry.sha256 in damaged]
            raise BadInput(
                f"the backup {snapshot.name} lacks {some(named)}, or has it damaged, as {some([str(self.content(sha256)) for sha256 in damaged])}; "
                "delete these files and the next backup copies them anew, or name another backup with --snapshot"
            )


def is_sqlite(path: Path) -> bool:
    """Check whether a file is a database of SQLite."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
