"""A table of simulated figures, and how it is written down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench.table import in_columns


@dataclass(frozen=True)
class Table:
    """Figures under a title; `note` says what was simulated."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        return "\n".join([f"### {self.title}", "", self.note, "", *in_columns(self.header, self.rows)])


def share(value: float) -> str:
    """`0.953`, with the three digits that enough draws give."""
    return f"{value:.3f}"


def per_cent(value: float) -> str:
    return f"{100 * value:.1f} %"


def of_each(names: Iterable[str], *columns: str) -> list[str]:
    """A heading for each name and column."""
    return [f"{name}: {column}" for name in names for column in columns]


def worst_coverage(cases: Sequence[Mapping[str, Sequence[float]]]) -> list[str]:
    """By interval, the lowest share of several cases that hold the truth, and the mean of their widths."""
    cells = []
    for name in cases[0]:
        cells += [share(min(case[name][0] for case in cases)), f"{np.mean([case[name][1] for case in cases]):.2f}"]
    return cells


def beta(rng: np.random.Generator, mean: float, correlation: float, size: int | None = None) -> np.ndarray:
    """Shares of videos of such a mean, whose clips have this intra-class correlation; none has a spread of its own if that is 0."""
    if not correlation:
        return np.full(size or (), mean)
    return rng.beta(*(p * (1 - correlation) / correlation for p in (mean, 1 - mean)), size)
