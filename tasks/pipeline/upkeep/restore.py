"""Verify a backup, and put it into empty stores: `python -m tasks restore FROM`."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tasks.disk import expanded, full_disk
from tasks.errors import BadConfiguration, Unavailable
from tasks.pipeline._results import log
from tasks.pipeline.upkeep._snapshots import Backups
from tasks.pipeline.upkeep.contract import RestoreArguments
from tasks.store.layout import Layout
from tasks.store.objects import Store, StoredObject
from tasks.store.records.upkeep import RestoreResult, Snapshot
from tasks.store.stored import last_name
from tasks.wording import listed, plain_count, size, some


def run(arguments: RestoreArguments, store: Store) -> RestoreResult:
    """Verify a backup, and restore it unless that is all that was asked."""
    backups, snapshot = verified(arguments.source, arguments.snapshot, lambda: store)
    if not arguments.verify:
        present = present_objects(store, snapshot, replace=arguments.replace)
        if arguments.files:
            files = {kept.name: expanded(arguments.files) / kept.name for kept in snapshot.files}
            restore_files(backups, snapshot, files, replace=arguments.replace)
        restore_objects(store, backups, snapshot, present)
    result = RestoreResult(
        name=snapshot.name,
        num_objects=len(snapshot.objects),
        size_bytes=sum(entry.size_bytes for entry in (*snapshot.objects, *snapshot.files)),
        files=tuple(kept.name for kept in snapshot.files),
        restored=not arguments.verify,
    )
    if result.restored and result.files and not arguments.files:
        log.warning("left out: %s; --files=FOLDER writes them", listed(list(result.files)))
    done = "verified" if arguments.verify else "restored"
    log.info("%s %s: %s, %s", done, result.name, plain_count(result.num_objects, "object"), size(result.size_bytes))
    return result


def verified(source: str, name: str | None, own: Callable[[], Store]) -> tuple[Backups, Snapshot]:
    """Find a backup, by default the latest, and check that it is whole; see `Backups.at`."""
    backups = Backups.at(source, own)
    snapshot = backups.snapshot(name)
    backups.require_outside(_places(snapshot))
    backups.verify(snapshot)
    return backups, snapshot


def restore_files(backups: Backups, snapshot: Snapshot, paths: dict[str, Path], *, replace: bool) -> None:
    """Copy the files of a backup that have a path.

    Raises:
        BadConfiguration: one is there already, and is not to be replaced, or cannot be written.
        Unavailable: the disk is full.
    """
    wanted = [(kept.sha256, paths[kept.name]) for kept in snapshot.files if kept.name in paths]
    if not replace and (there := [str(path) for _, path in wanted if path.exists()]):
        raise BadConfiguration(f"{some(there)} is there already; --replace replaces it, or name a new folder")
    for sha256, path in wanted:
        partial = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with backups.content(sha256) as content:
                shutil.copyfile(content, partial)
            partial.chmod(0o600)
            for suffix in ("-wal", "-shm", "-journal"):  # SQLite would apply those of the earlier database
                path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
            partial.replace(path)
        except OSError as error:
            if full_disk(error):
                raise Unavailable(f"the disk of {path.parent} is full; make room there and run again") from error
            raise BadConfiguration(f"{path} cannot be written ({error.strerror}); name another folder") from error


def present_objects(store: Store, snapshot: Snapshot, *, replace: bool) -> dict[str, StoredObject]:
    """List the objects at a backup's places; raise BadConfiguration unless they may go."""
    places = _places(snapshot)
    present = {entry.uri: entry for place in places for entry in store.list(place)}
    if present and not replace:
        held = [place for place in places if any(uri.startswith(place) for uri in present)]
        raise BadConfiguration(f"{some(held)} has objects already; --replace deletes what the backup does not have")
    return present


def restore_objects(store: Store, backups: Backups, snapshot: Snapshot, present: Mapping[str, StoredObject]) -> None:
    """Write the objects of a verified backup to their addresses, commit marks last.

    All other objects that are present are deleted, but not records of forgetting. Videos that were forgotten since the backup are named.
    """
    stores = [Layout(uri).forgotten for uri in snapshot.stores]
    others = sorted(present.keys() - {entry.uri for entry in snapshot.objects}, key=_after_what_it_names, reverse=True)
    store.delete(uri for uri in others if not uri.startswith(tuple(forgotten.folder_uri for forgotten in stores)))
    if again := [last_name(uri).removesuffix(".json") for uri in others if uri.startswith(tuple(place.tombstones for place in stores))]:
        log.warning("forgotten since this backup, which may bring them back: %s; forget them again", some(again))
    for place in _places(snapshot):
        store.ensure_bucket(place)
    for entry in sorted(snapshot.objects, key=lambda entry: _after_what_it_names(entry.uri)):
        if not entry.etag or entry.uri not in present or present[entry.uri].etag != entry.etag:
            with backups.content(entry.sha256) as content:
                store.write_file(entry.uri, content)


def _places(snapshot: Snapshot) -> list[str]:
    return [Layout(uri).folder_uri for uri in (*snapshot.stores, *snapshot.artifacts)]


def _after_what_it_names(uri: str) -> tuple[bool, bool, str]:
    return uri.endswith(".json"), uri.endswith("/result.json"), uri
