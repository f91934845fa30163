"""Lease clips to people who label at once."""

import hashlib
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from tasks.errors import BadInput
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.labelling import Lease
from tasks.store.stored import Stored

LEASE_SECONDS = 180
NUM_PEOPLE = 50
"""The leases that are read; more people at once may get the same clips."""


class Leases:
    """Reads and writes which clips are leased to whom. Hold `turn` while a person is given clips."""

    def __init__(self, store: Store, store_uri: str) -> None:
        self.turn = threading.Lock()
        self._store = store
        self._log = Layout(store_uri).label_log

    def to_others(self, person: str) -> set[str]:
        """List the clips that others have had before them in the minutes before the latest lease."""
        written = {lease.uri: datetime.fromisoformat(lease.modified) for lease in self._store.list(self._log.leases)}
        latest = max(written.values(), default=datetime.max.replace(tzinfo=UTC))
        # A listing may come without a lease that was written just now.
        written.pop(self._lease(person).uri, None)
        leases = [uri for uri, modified in written.items() if latest - modified < timedelta(seconds=LEASE_SECONDS)]
        uids = set[str]()
        for uri in leases[:NUM_PEOPLE]:
            with suppress(BadInput):
                uids.update(self._store.read(uri, Lease).uids)
        return uids

    def lease(self, uids: Iterable[str], person: str) -> None:
        """Lease clips to a person, in place of those that they had."""
        self._store.write(self._lease(person), Lease(by=person, uids=tuple(uids)))

    def _lease(self, person: str) -> Stored[Lease]:
        # A name may have any letters, an address may not.
        return self._log.lease(hashlib.sha256(person.encode()).hexdigest()[:16])
