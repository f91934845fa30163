"""Copy stores and databases while runs go on: `python -m tasks backup TO`.

A backup shows one time, so everything that names other things is copied before them. Airflow's database names records, which name runs
of MLflow and files; MLflow's database names files. Records are taken up to one time by the store's own clock. Those written later are
left out, so that their steps run again. `local/home_backup.py` chooses what `make backup` copies.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import BadConfiguration, BadInput, MissingObject, Unavailable
from tasks.pipeline._results import log
from tasks.pipeline.upkeep._snapshots import Backups, is_sqlite
from tasks.pipeline.upkeep.contract import BackupArguments
from tasks.settings import RunnerSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store, StoredObject
from tasks.store.records.upkeep import BackupResult, KeptFile, KeptObject, Snapshot
from tasks.wording import plain_count, size

NUM_TRIES = 10
CLOCK_SECONDS = 1.1
"""A store's times may be whole seconds."""


@dataclass(frozen=True)
class Sources:
    """Stores to copy, artifacts of MLflow, its database and Airflow's, and other files."""

    stores: Sequence[str]
    artifacts: Sequence[str] = ()
    airflow: Path | None = None
    mlflow: Path | None = None
    others: Mapping[str, Path] = field(default_factory=dict)


def run(arguments: BackupArguments, store: Store) -> BackupResult:
    """Back up, and leave everything as it is.

    Raises:
        BadConfiguration: a dump of MLflow's database has no time, or see `back_up`.
    """
    if arguments.mlflow and not arguments.before and arguments.mlflow.is_file() and not is_sqlite(arguments.mlflow):
        raise BadConfiguration(f"{arguments.mlflow} is a dump: name a time before it with --before, so that it has what later records name")
    stores = arguments.store or [load(RunnerSettings).store_uri]
    sources = Sources(stores, arguments.artifacts, arguments.airflow, arguments.mlflow)
    return back_up(store, sources, arguments.to, arguments.before)


def stores_to_copy(store: Store, to: str) -> list[str]:
    """List the buckets of the store's server, except those that have only backups."""
    backups = Backups.at(to, lambda: store)
    return [uri for uri in store.buckets() if not backups.place.has_to_itself(uri)]


def back_up(store: Store, sources: Sources, to: str, before: datetime | None = None) -> BackupResult:
    """Copy all content that is new since the last backup there, and list all objects.

    Args:
        to: a folder or a bucket, see `Backups.at`.
        before: leaves out records that were written later, which dumps of the databases do not have.

    Raises:
        Unavailable: the disk is full, or a champion moved while MLflow's database was copied.
        BadConfiguration: a file cannot be read, the folder not be written, or `to` is in a store that is copied.
    """
    backups = Backups.at(to, lambda: store)
    backups.require_outside(Layout(uri).folder_uri for uri in (*sources.stores, *sources.artifacts))
    with backups.writing():
        return _Copying(store, sources, backups).run(str(before.astimezone(UTC)) if before else None)


class _Copying:
    """One backup while it is made."""

    def __init__(self, store: Store, sources: Sources, backups: Backups) -> None:
        self._store, self._sources, self._backups = store, sources, backups
        self._known = {(kept.uri, kept.etag, kept.size_bytes): kept for kept in _last(backups) if kept.etag and backups.has(kept)}
        self._num_new = self._new_bytes = 0
        self._as_is = tuple(folder for uri in sources.stores for folder in _kept_as_is(Layout(uri)))
        self._moves = tuple(Layout(uri).champions for uri in sources.stores)

    def run(self, before: str | None) -> BackupResult:
        sources = self._sources
        files = self._files({"airflow": sources.airflow, **sources.others})
        for _ in range(1 if before else NUM_TRIES):
            early = [listed for listed in self._list(sources.stores) if self._is_record(listed)]
            until = max((listed.modified for listed in early), default="")
            until = min(until, before) if before else until
            records = {listed.uri: kept for listed in early if listed.modified <= until and (kept := self._same(listed))}
            databases = self._files({"mlflow": sources.mlflow})
            time.sleep(CLOCK_SECONDS)
            now = list(self._list(sources.stores))
            if not any(listed.modified > until and listed.uri.startswith(self._moves) for listed in now):
                break
        else:
            raise Unavailable("a champion moved after the time of this backup; make it again, with new dumps if there are any")
        newer = {listed.uri for listed in now if self._is_record(listed) and listed.modified > until}
        copied = [self._at_cut(listed, records, newer) if self._is_record(listed) else self._keep(listed) for listed in now]
        copied += [self._keep(listed) for listed in self._list(sources.artifacts)]
        snapshot = Snapshot(
            name=self._backups.free_name(),
            records_until=until,
            stores=tuple(sources.stores),
            artifacts=tuple(sources.artifacts),
            objects=self._present({entry.uri: entry for entry in copied if entry}),
            files=(*files, *databases),
        )
        self._backups.write(snapshot)
        return self._result(snapshot, len(newer - records.keys()))

    def _files(self, paths: Mapping[str, Path | None]) -> list[KeptFile]:
        return [self._backups.keep_file(name, path) for name, path in paths.items() if path]

    def _list(self, places: Iterable[str]) -> Iterable[StoredObject]:
        return (listed for uri in places for listed in self._store.list(Layout(uri).folder_uri))

    def _is_record(self, listed: StoredObject) -> bool:
        """Check whether a step wrote this and does so again where it is missing."""
        return listed.name.endswith(".json") and not listed.uri.startswith(self._as_is)

    def _at_cut(self, listed: StoredObject, records: Mapping[str, KeptObject], newer: set[str]) -> KeptObject | None:
        """Find a record as it was at the time of the backup, if possible."""
        earlier = records.get(listed.uri)
        if listed.uri in newer or (earlier and earlier.etag == listed.etag):
            return earlier
        return self._same(listed)

    def _same(self, listed: StoredObject) -> KeptObject | None:
        """Copy an object unless it changed since it was listed."""
        kept = self._keep(listed)
        return kept if kept and kept.etag == listed.etag else None

    def _keep(self, listed: StoredObject) -> KeptObject | None:
        """Copy an object as it is now; None if it was deleted."""
        if known := self._known.get((listed.uri, listed.etag, listed.size_bytes)):
            return known
        with self._backups.place.partial() as path:
            try:
                self._store.read_file(listed.uri, path)
            except MissingObject:
                return None
            self._num_new, self._new_bytes = self._num_new + 1, self._new_bytes + path.stat().st_size
            content = self._backups.keep(path)
        now = self._store.stat(listed.uri)
        kept = KeptObject(uri=listed.uri, etag=listed.etag if now and now.etag == listed.etag else "", **content.model_dump())
        self._known[kept.uri, kept.etag, kept.size_bytes] = kept
        return kept

    def _present(self, kept: Mapping[str, KeptObject]) -> tuple[KeptObject, ...]:
        """Leave out the objects that were deleted meanwhile.

        The store is listed until a listing lacks nothing, because records are deleted before the objects that they name.
        """
        while True:
            present = {listed.uri for listed in self._list((*self._sources.stores, *self._sources.artifacts))}
            if kept.keys() <= present:
                return tuple(kept[uri] for uri in sorted(kept))
            kept = {uri: entry for uri, entry in kept.items() if uri in present}

    def _result(self, snapshot: Snapshot, num_left_out: int) -> BackupResult:
        result = BackupResult(
            folder=str(self._backups.place),
            name=snapshot.name,
            num_objects=len(snapshot.objects),
            size_bytes=sum(entry.size_bytes for entry in (*snapshot.objects, *snapshot.files)),
            num_new=self._num_new,
            new_bytes=self._new_bytes,
            num_left_out=num_left_out,
        )
        log.info("backup %s: %s, %s", result.name, plain_count(result.num_objects, "object"), size(result.size_bytes))
        log.info("new since the last one: %s, %s", plain_count(result.num_new, "object"), size(result.new_bytes))
        return result


def _last(backups: Backups) -> tuple[KeptObject, ...]:
    """List the objects of the latest backup; none if its list is damaged."""
    try:
        return backups.snapshot().objects if backups.names else ()
    except BadInput as error:
        log.warning("all objects are read anew: %s", error)
        return ()


def _kept_as_is(place: Layout) -> tuple[str, ...]:
    """List the folders of records that people wrote, or that nothing makes anew.

    They name nothing that a step writes later, so they are copied as they are.
    """
    of_people = place.inbox.folder_uri, place.annotations.folder_uri, place.label_log.folder_uri, place.recipes
    return *of_people, place.status.folder_uri, place.forgotten.folder_uri, place.own_classes("verb"), place.own_classes("noun")
