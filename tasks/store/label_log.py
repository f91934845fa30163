"""Lay out the log of the labelling page; `layout` has the rest."""

from dataclasses import dataclass

from tasks.results.labelling import LogBlock, LogEntry
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
