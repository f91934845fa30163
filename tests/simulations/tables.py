"""A table of simulated figures, and how it is written down."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Figures under a title; `note` says what was simulated."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", self.note, "", f"| {' | '.join(self.header)} |", f"|{' --- |' * len(self.header)}"]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])


def share(value: float) -> str:
    """`0.953`, with the three digits that enough draws give."""
    return f"{value:.3f}"


def per_cent(value: float) -> str:
    return f"{100 * value:.1f} %"
