"""Lay out the log of the labelling page; `layout` has the rest."""

from dataclasses import dataclass

from tasks.store.records.labelling import Lease, LogBlock, LogEntry
from tasks.store.stored import Stored


@dataclass(frozen=True)
class LabelLog:
    """`label_log/`: the statements made on the labelling page, numbered from 0."""

    folder_uri: str

    def entry(self, number: int) -> Stored[LogEntry]:
        """Find one statement."""
        return Stored(f"{self.folder_uri}{number:08d}.json", LogEntry)

    def block(self, number: int) -> Stored[LogBlock]:
        """`label_log/blocks/<number>.json`: find many statements in one object."""
        return Stored(f"{self.folder_uri}blocks/{number:06d}.json", LogBlock)

    @property
    def leases(self) -> str:
        """`label_log/lent/`: return the folder of the clips that people have before them."""
        return f"{self.folder_uri}lent/"

    def lease(self, person: str) -> Stored[Lease]:
        """`label_log/lent/<person>.json`: find the clips that a person has before them; `person` is a hash of the name."""
        return Stored(f"{self.leases}{person}.json", Lease)
