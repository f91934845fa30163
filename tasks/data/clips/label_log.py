"""Append to the log of the labelling page, and read it.

An entry is created only if its number is free, so of two people who write at once neither loses a line. Full blocks of entries are also kept
in one object each: a store with 20,000 labels is read in some 40 requests. A damaged entry keeps its number, and costs itself alone.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tasks.errors import BadInput, MissingObject
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.labelling import AnyEntry, AnyStatement, DamagedEntry, LogBlock, LogEntry

BLOCK_SIZE = 500
NUM_THREADS = 16


def read_log(store: Store, store_uri: str, num_known: int = 0) -> list[AnyEntry]:
    """Read the entries after the first `num_known`."""
    log, found, number = Layout(store_uri).label_log, list[AnyEntry](), num_known
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        while True:
            if number % BLOCK_SIZE == 0:
                try:
                    found += store.read(log.block(number // BLOCK_SIZE)).entries
                    number = num_known + len(found)
                    continue
                except BadInput:
                    # It is missing, or damaged: its entries are there one by one.
                    pass
            stop = (number // BLOCK_SIZE + 1) * BLOCK_SIZE
            for entry in _singles(store, store_uri, number, stop, pool):
                found.append(entry)
            if num_known + len(found) < stop:
                return found
            number = stop


def _singles(store: Store, store_uri: str, start: int, stop: int, pool: ThreadPoolExecutor) -> Iterator[AnyEntry]:
    """Read single entries until one is missing.

    The first is read alone, because most often nothing is new.
    """
    first = _entry(store, store_uri, start)
    if first is None:
        return
    yield first
    for begin in range(start + 1, stop, NUM_THREADS):
        for entry in pool.map(lambda number: _entry(store, store_uri, number), range(begin, min(stop, begin + NUM_THREADS))):
            if entry is None:
                return
            yield entry


def _entry(store: Store, store_uri: str, number: int) -> AnyEntry | None:
    try:
        return store.read(Layout(store_uri).label_log.entry(number))
    except MissingObject:
        return None
    except BadInput as error:
        return DamagedEntry(reason=f"{str(error).partition(';')[0]}; it counts for nothing")


def count_entries(store: Store, store_uri: str) -> int:
    """Count the entries of the log, by few requests."""
    log, number = Layout(store_uri).label_log, 0
    while store.exists(log.block(number // BLOCK_SIZE).uri) or store.exists(log.entry(number + BLOCK_SIZE - 1).uri):
        number += BLOCK_SIZE
    return bisect_left(range(number, number + BLOCK_SIZE), True, key=lambda tried: not store.exists(log.entry(tried).uri)) + number


def append(store: Store, store_uri: str, statement: AnyStatement, num_known: int) -> list[AnyEntry]:
    """Append a statement, and return all entries after the first `num_known`; the last is the new one.

    The entries before it are those that others have written meanwhile. If one of them has the statement's token, nothing is written.
    """
    at, entry = Layout(store_uri).label_log, LogEntry(statement=statement)
    found = list[AnyEntry]()
    while not store.create(at.entry(num_known + len(found)), entry):
        others = read_log(store, store_uri, num_known + len(found))
        found += others
        if any(isinstance(other, LogEntry) and other.statement.token == statement.token for other in others):
            return found
    return [*found, entry]


def write_blocks(store: Store, store_uri: str, entries: Sequence[AnyEntry], first_block: int = 0) -> int:
    """Write each full block that is missing, and return the number of full blocks.

    Only blocks from `first_block` on are written. `entries` are all of the log. None is written of damaged ones, which another version may
    read.
    """
    num_blocks = len(entries) // BLOCK_SIZE
    for number in range(first_block, num_blocks):
        block = tuple(entry for entry in entries[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE] if isinstance(entry, LogEntry))
        if len(block) == BLOCK_SIZE:
            store.create(Layout(store_uri).label_log.block(number), LogBlock(entries=block))
    return num_blocks
