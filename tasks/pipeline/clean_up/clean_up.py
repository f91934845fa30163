"""Delete old objects that nothing needs any more, or list them."""

import json
import math
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from tasks.data.clips.forgetting import drop_from_cache
from tasks.data.clips.label_inputs import latest_prediction
from tasks.disk import CachedFile, cached_files, unused
from tasks.errors import BadInput, MissingObject
from tasks.judge.gate.champion import moves, recorded_decisions
from tasks.pipeline._results import finish, log
from tasks.pipeline.clean_up.contract import CLEAN_UP, CleanUpArguments
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import SpaceStatus, SpaceUse
from tasks.store.records.upkeep import CleanUpResult
from tasks.store.retention import Survey, Unit, Use, expired, in_order, keys_in, needs_of, survey
from tasks.store.stored import last_name
from tasks.tracking import Registry, collect_garbage
from tasks.wording import count, csv_table, size

UPLOAD_DAYS = 7
"""An upload in parts that takes longer has ended without its last request."""
DAY_SECONDS = 86_400


class Cache(NamedTuple):
    """The files of this machine's caches, and those that go."""

    files: list[CachedFile]
    going: list[CachedFile]


def run(arguments: CleanUpArguments, store: Store) -> CleanUpResult:
    """List, with reasons, everything that may go; delete it, unless this is a dry run.

    Raises:
        BadInput: a record of a decision or of the champion cannot be read.
    """
    root, dry_run = Layout(arguments.store), arguments.dry_run
    now = datetime.now(UTC)
    taken, going = _expired(arguments, store, now)
    place = CLEAN_UP.address(arguments)
    cache = _cache(arguments.keep_days)
    if not dry_run:
        collect_garbage(load(MlflowSettings), arguments.keep_days)  # where it fails, nothing else has gone, and a retry reports all
        still = {unit.uri for unit in _expired(arguments, store, now)[1]}
        going = tuple(unit for unit in going if unit.uri in still)
    store.write_bytes(place.listed, _table(going))
    uploads = store.abort_uploads(root.folder_uri, now - timedelta(days=UPLOAD_DAYS), dry_run=dry_run)
    if not dry_run:
        going = _delete(going, root, Registry(load(MlflowSettings)), store)
        for file in cache.going:
            file.path.unlink(missing_ok=True)
        drop_from_cache(store, arguments.store, load(MachineSettings).cache_dir)
    store.write(root.status.space, _space(taken, going, cache, dry_run=dry_run))
    num_objects, size_bytes = sum(unit.num_objects for unit in going), sum(unit.size_bytes for unit in going)
    cache_bytes = _bytes(cache.going)
    result = CleanUpResult(
        is_dry_run=dry_run,
        num_objects=num_objects,
        size_bytes=size_bytes,
        num_uploads=len(uploads),
        num_cache_files=len(cache.going),
        cache_bytes=cache_bytes,
        list_uri=place.listed,
        summary=f"{count(num_objects, 'object')} of the store ({size(size_bytes)}), {count(len(uploads), 'aborted upload')} and "
        f"{count(len(cache.going), 'file')} of the cache ({size(cache_bytes)}) {'would go' if dry_run else 'went'}; {place.listed} has the reasons",
    )
    log.info("%s", result.summary)
    return finish(store, place, result)


def _expired(arguments: CleanUpArguments, store: Store, now: datetime) -> tuple[Survey, tuple[Unit, ...]]:
    """List the store, and select the units that may go."""
    folder_uri, before = Layout(arguments.store).folder_uri, now - timedelta(days=arguments.keep_days)
    taken = survey(store.list(folder_uri), folder_uri, now)
    needed = _needed(arguments, Registry(load(MlflowSettings)), store)
    return taken, expired(taken, needed, partial(_mentions, store=store, before=before), before)


def _needed(arguments: CleanUpArguments, registry: Registry, store: Store) -> set[str]:
    """Find the keys of aliases, champions, the latest decisions, recipes and the latest prediction."""
    root = Layout(arguments.store)
    needed = set(registry.aliased_run_keys())
    for model in map(last_name, store.folders(root.champions)):
        made = [move.decision for move in moves(store, arguments.store, model)]
        needed |= {decision.run_key for decision in made}
        before = {str(decision.champion_before) for decision in made if decision.champion_before}
        needed.update(_named((f"models:/{model}/{number}" for number in before), registry))
    decisions = sorted(recorded_decisions(store, arguments.store), key=attrgetter("time"))
    needed |= {decision.run_key for decision in decisions if decision.event != "kept"}
    for model in {decision.model_name for decision in decisions}:
        keys = dict.fromkeys(decision.run_key for decision in reversed(decisions) if decision.model_name == model)
        needed.update(list(keys)[: arguments.keep_runs])
    recipes = [store.read_bytes(recipe.uri).decode(errors="replace") for recipe in store.list(root.recipes)]
    needed.update(_named((name for text in recipes for name in re.findall(r"models:/[\w.-]+/[0-9]+", text)), registry))
    if prediction := latest_prediction(store, arguments.store):
        needed.add(last_name(prediction))
    return needed


def _named(references: Iterable[str], registry: Registry) -> Iterator[str]:
    """Find the keys of the versions that these name by their numbers."""
    for reference in references:
        with suppress(BadInput):  # there is no such version any more
            yield registry.resolve(reference)[1].run_key


def _mentions(unit: Unit, store: Store, before: datetime) -> Iterable[str]:
    for uri in unit.records:
        with suppress(MissingObject):  # removed since the listing
            text = store.read_bytes(uri).decode(errors="replace")
            with suppress(ValueError):  # a claim
                text = json.dumps(needs_of(unit.kind, json.loads(text), is_new=unit.newest >= before))
            yield from keys_in(f"{uri} {text}")


def _delete(going: Iterable[Unit], root: Layout, registry: Registry, store: Store) -> tuple[Unit, ...]:
    """Delete all commit marks, let go of the registry's versions, and delete the rest.

    In this order no training seems registered whose version was let go, and no version usable whose checkpoint is gone. Units that were
    written to since the listing stay. Returns the others.
    """
    old = []
    for unit in going:
        again = survey(store.list(unit.uri), root.folder_uri, unit.newest).units.get(unit.uri, unit)
        if again.newest > unit.newest:
            log.info("in use again: %s", unit.uri)
            continue
        store.delete(in_order(unit, store.list(unit.uri), root.folder_uri)[0])
        old.append(unit)
    registry.let_go({unit.uri for unit in old})
    for unit in old:
        for uris in in_order(unit, store.list(unit.uri), root.folder_uri):
            store.delete(uris)
    return tuple(old)


def _table(going: Iterable[Unit]) -> bytes:
    columns = ("folder", "kind", "reason", "last_changed", "num_objects", "size_bytes")
    rows = ((unit.uri, unit.kind.name, unit.kind.why, f"{unit.newest:%Y-%m-%d}", unit.num_objects, unit.size_bytes) for unit in going)
    return csv_table(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def _cache(keep_days: int) -> Cache:
    machine = load(MachineSettings)
    files = list(cached_files(machine.cache_dir / name for name in ("frames", "features")))
    max_bytes = machine.cache_gib * 2**30 or math.inf
    return Cache(files, unused(files, time.time(), keep_days * DAY_SECONDS, max_bytes))


def _space(taken: Survey, going: Iterable[Unit], cache: Cache, *, dry_run: bool) -> SpaceStatus:
    """Count objects and bytes before and after, in a dry run as they would be."""
    sizes = [Use(len(files), _bytes(files)) for files in (cache.files, cache.going)]
    left = Use(sizes[0].num_objects - sizes[1].num_objects, sizes[0].size_bytes - sizes[1].size_bytes)
    before, after = (
        (
            *(SpaceUse(name=name, num_objects=use.num_objects, size_bytes=use.size_bytes) for name, use in sorted(folders.items())),
            SpaceUse(name="cache of this machine", num_objects=cached.num_objects, size_bytes=cached.size_bytes, is_cache=True),
        )
        for folders, cached in ((taken.folders, sizes[0]), (taken.without(going), left))
    )
    return SpaceStatus(at=now_utc(), before=before, after=after, is_dry_run=dry_run)


def _bytes(files: Iterable[CachedFile]) -> int:
    return sum(file.size_bytes for file in files)
