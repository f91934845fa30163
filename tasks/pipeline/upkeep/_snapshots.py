"""Keep backups in a folder or a bucket.

Contents lie under their hashes. Each backup is a list of contents, its snapshot, which is written last.
"""

import os
import re
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from pydantic import ValidationError

from tasks.disk import expanded, full_disk, work_folder
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.keys import file_sha256
from tasks.store import stored
from tasks.store.objects import Store, to_json
from tasks.store.records.upkeep import Content, KeptFile, Snapshot
from tasks.store.stored import as_folder, connection_of, split_uri, without_connection
from tasks.wording import some

_SQLITE = b"SQLite format 3\0"
_PARTIAL = ".partial-"
_MAYBE_IN_USE_SECONDS = 86_400
_LIST = re.compile(r"(2[0-9]{7}T[0-9]{6}\.[0-9]{3}Z)\.json")
_OF_BACKUPS = re.compile(rf"/({_LIST.pattern}|contents/[0-9a-f]{{2}}/[0-9a-f]{{64}})$")


@dataclass(frozen=True)
class Folder:
    """A folder that holds backups."""

    root: Path
    remedy: ClassVar[str] = "name another folder"

    def __str__(self) -> str:
        return str(self.root)

    @property
    def scratch(self) -> Path:
        """Return the folder of files that are being written."""
        return self.root

    def prepare(self) -> None:
        """Make the folder, private to this user, and remove old partial files."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self.root.glob(f"{_PARTIAL}*"):
            with suppress(FileNotFoundError):  # another backup has removed it
                if time.time() - path.stat().st_mtime > _MAYBE_IN_USE_SECONDS:
                    path.unlink()

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """Yield the path of a file to write, which is removed unless it was moved."""
        path = self.root / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put(self, path: Path, name: str) -> None:
        """Move a file to its name."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(self.root / name)

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Yield the path of a file to read."""
        path = self.root / name
        if not path.is_file():
            raise BadInput(f"{path} is missing; name another backup with --snapshot")
        yield path

    def size_bytes(self, name: str) -> int | None:
        """Measure a file; None if there is none."""
        path = self.root / name
        return path.stat().st_size if path.is_file() else None

    def lists(self) -> list[str]:
        """List the files directly in the folder that may be lists."""
        return [path.name for path in self.root.glob("2*.json")]

    def lies_in(self, folder_uri: str) -> bool:
        """Check whether this is part of a folder of the store; a disk never is."""
        return False

    def has_to_itself(self, bucket_uri: str) -> bool:
        """Check whether a bucket of the store has only backups, these among them."""
        return False


@dataclass(frozen=True)
class Bucket:
    """A bucket or prefix with the methods of `Folder`; `address` is as people wrote it."""

    store: Store
    address: str
    remedy: ClassVar[str] = "set TMPDIR to another folder"

    def __str__(self) -> str:
        return self.address

    @property
    def scratch(self) -> Path:
        return Path(tempfile.gettempdir())

    @property
    def _objects(self) -> stored.Folder:
        return stored.Folder(as_folder(without_connection(self.address)))

    def prepare(self) -> None:
        """Make the bucket unless it exists."""
        self.store.ensure_bucket(self._objects.folder_uri)

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """Yield the path of a file to write, which is removed afterwards."""
        with work_folder(self.scratch) as folder:
            yield folder / "content"

    def put(self, path: Path, name: str) -> None:
        self.store.write_file(self._objects.file(name), path)
        self._contents[name] = path.stat().st_size

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Yield the path of a copy to read, which is removed afterwards."""
        with self.partial() as path:
            try:
                self.store.read_file(self._objects.file(name), path)
            except OSError as error:
                where = f"{self}/{name} cannot be kept in {self.scratch}"
                raise Unavailable(f"{where} ({error.strerror}); make room there, or {self.remedy}") from error
            yield path

    def size_bytes(self, name: str) -> int | None:
        return self._contents.get(name)

    @cached_property
    def _contents(self) -> dict[str, int]:
        """Map names to sizes by one listing, which is faster than asking for each."""
        return {self._objects.name_of(listed.uri): listed.size_bytes for listed in self.store.list(self._objects.file("contents/"))}

    def lists(self) -> list[str]:
        """List the objects under the prefix that may be lists, without the contents."""
        return [self._objects.name_of(listed.uri) for listed in self.store.list(self._objects.file("2"))]

    def lies_in(self, folder_uri: str) -> bool:
        return not connection_of(self.address) and self._objects.folder_uri.startswith(folder_uri)

    def has_to_itself(self, bucket_uri: str) -> bool:
        bucket = as_folder(bucket_uri)
        return self.lies_in(bucket) and all(_OF_BACKUPS.search(listed.uri) for listed in self.store.list(bucket))


@dataclass(frozen=True)
class Backups:
    """Backups in one place, each a list `<name>.json`; they share `contents/`."""

    place: Folder | Bucket

    @classmethod
    def at(cls, address: str, own: Callable[[], Store]) -> Self:
        """Find the backups in a folder or bucket; raise BadConfiguration for another address."""
        if "://" not in address:
            return cls(Folder(expanded(address)))
        split_uri(address)
        return cls(Bucket(Store.of_connection(address) if connection_of(address) else own(), address.rstrip("/")))

    @property
    def names(self) -> list[str]:
        """List the backups that were completed, oldest first."""
        return sorted(match[1] for name in self.place.lists() if (match := _LIST.fullmatch(name)))

    def require_outside(self, folder_uris: Iterable[str]) -> None:
        """Raise BadConfiguration for backups inside a folder that they would copy or delete."""
        if around := [uri for uri in folder_uris if self.place.lies_in(uri)]:
            raise BadConfiguration(f"{self.place} lies in {around[0]}, which is part of the backup; name a bucket for backups alone")

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
            raise BadConfiguration(f"{self.place} has no complete backup {chosen}".rstrip() + f"; it has: {some(names[::-1]) or 'none'}")
        with self.place.fetched(f"{chosen}.json") as path:
            listed = path.read_bytes()
        try:
            return Snapshot.model_validate_json(listed)
        except ValidationError as error:
            raise BadInput(
                f"{self.place}/{chosen}.json is damaged ({error.errors()[0]['msg']}); name another backup with --snapshot"
            ) from None

    def write(self, snapshot: Snapshot) -> None:
        """Complete a backup by its list, once its contents are on the disk."""
        os.sync()
        with self.place.partial() as path:
            path.write_bytes(to_json(snapshot))
            self.place.put(path, f"{snapshot.name}.json")

    def content(self, sha256: str) -> AbstractContextManager[Path]:
        return self.place.fetched(_name(sha256))

    def has(self, content: Content) -> bool:
        """Check whether a content is there in its length."""
        return self.place.size_bytes(_name(content.sha256)) == content.size_bytes

    def keep(self, path: Path) -> Content:
        """Put a partial file among the contents, unless its content is there."""
        content = Content(sha256=file_sha256(path), size_bytes=path.stat().st_size)
        if not self.has(content):
            self.place.put(path, _name(content.sha256))
        return content

    def keep_file(self, name: str, path: Path) -> KeptFile:
        """Copy a file; a database of SQLite, which may be in use, between two transactions.

        Raises:
            BadConfiguration: it cannot be read.
            Unavailable: the database stays locked.
        """
        with self.place.partial() as copy:
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
    def writing(self) -> Iterator[None]:
        """Make the folder or the bucket.

        Raises:
            BadConfiguration: it cannot be written.
            Unavailable: a disk is full.
        """
        try:
            self.place.prepare()
            yield
        except OSError as error:
            if full_disk(error):
                raise Unavailable(f"the disk of {self.place.scratch} is full; make room there and run again") from error
            raise BadConfiguration(f"{self.place.scratch} cannot be written ({error.strerror}); {self.place.remedy}") from error

    def verify(self, snapshot: Snapshot) -> None:
        """Raise BadInput if a content of a backup is missing or damaged."""
        damaged = {sha256 for sha256, content in snapshot.contents.items() if not (self.has(content) and self._is_whole(sha256))}
        if damaged:
            named = [entry.uri for entry in snapshot.objects if entry.sha256 in damaged]
            named += [entry.name for entry in snapshot.files if entry.sha256 in damaged]
            raise BadInput(
                f"the backup {snapshot.name} lacks {some(named)}, or has it damaged, as {some([f'{self.place}/{_name(sha256)}' for sha256 in damaged])}; "
                "delete these files and the next backup copies them anew, or name another backup with --snapshot"
            )

    def _is_whole(self, sha256: str) -> bool:
        with self.content(sha256) as path:
            return file_sha256(path) == sha256


def is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _name(sha256: str) -> str:
    return f"contents/{sha256[:2]}/{sha256}"
