"""Give people who label at once different clips.

The clips that a person has before them are one object in the store, so that this holds for all processes that serve the page.
"""

import hashlib
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tasks.errors import BadInput
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.labelling import Lease
from tasks.store.stored import Stored

LENT_SECONDS = 180
NUM_PEOPLE = 50
"""The leases that are read; more people at once may get the same clips."""


class Lent:
    """Reads and writes which clips are lent to whom. Hold `turn` from reading to writing."""

    def __init__(self, store: Store, store_uri: str) -> None:
        self.turn = threading.Lock()
        self._store = store
        self._log = Layout(store_uri).label_log

    def to_others(self, person: str) -> set[str]:
        """List the clips that others have had before them in the last minutes.

        These minutes end with the latest lease, such as this person's.
        """
        written = {lease.uri: datetime.fromisoformat(lease.modified) for lease in self._store.list(self._log.leases)}
        latest = max(written.values(), default=datetime.max.replace(tzinfo=UTC))
        # A listing may come without a lease that was written just now.
        written.pop(self._lease(person).uri, None)
        leases = [uri for uri, modified in written.items() if latest - modified < timedelta(seconds=LENT_SECONDS)]
        return {uid for uri in leases[:NUM_PEOPLE] for uid in self._uids(uri)}

    def lend(self, uids: Iterable[str], person: str) -> None:
        """Lend clips to a person, in place of those that they had."""
        self._store.write(self._lease(person), Lease(by=person, uids=tuple(uids)))

    def _lease(self, person: str) -> Stored[Lease]:
        # A name may have any letters, an address may not.
        return self._log.lease(hashlib.sha256(person.encode()).hexdigest()[:16])

    def _uids(self, uri: str) -> tuple[str, ...]:
        try:
            return self._store.read(uri, Lease).uids
        except BadInput:
            return ()
