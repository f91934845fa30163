"""List rejected lines of annotation files at a readable length."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest

from tasks.data.labels.rows import AnnotationFile
from tasks.store.records.dataset import Problem
from tasks.wording import plain_count

MAX_PROBLEMS_A_FILE = 1000


class Refusals:
    """The first rejected lines of a file, with reasons, and the number of all.

    A million reasons would take more memory than the file.
    """

    def __init__(self) -> None:
        self.num = 0
        self._last_line = math.inf
        self._kept: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(nsmallest(MAX_PROBLEMS_A_FILE, self._kept))

    def add(self, line: int, reason: str | Callable[[], str]) -> None:
        """Count a line, and keep it with its reason if it is among the first."""
        self.num += 1
        if line > self._last_line:
            return
        self._kept.append((line, reason if isinstance(reason, str) else reason()))
        if len(self._kept) >= 2 * MAX_PROBLEMS_A_FILE:
            self._kept = list(self)
            self._last_line = self._kept[-1][0]


def first_problems(file: str, refused: Refusals, num_more: Counter[str], where: Mapping[int, str]) -> list[Problem]:
    """Record the first rejected lines of a file and count the others.

    `where` has the places of items that line numbers do not locate.
    """
    num_more[file] += max(0, refused.num - MAX_PROBLEMS_A_FILE)
    return [Problem(file=file, line=line, item=where.get(line, ""), reason=reason) for line, reason in refused]


def in_order(problems: Iterable[Problem], files: Sequence[AnnotationFile], num_more: Mapping[str, int]) -> tuple[Problem, ...]:
    """Sort by file in upload order, then by line.

    Very long lists are truncated, with the number of the rest. `num_more` counts rejected lines by file that are not in `problems`.
    """
    order = {file.name: place for place, file in enumerate(files)}
    by_file: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in sorted(problems, key=lambda p: (order.get(p.file, len(order)), p.file, p.line or 0, p.reason)):
        by_file[problem.file].append(problem)
    kept = []
    for file, own in by_file.items():
        kept += own[:MAX_PROBLEMS_A_FILE]
        if num_rest := len(own) - len(own[:MAX_PROBLEMS_A_FILE]) + num_more.get(file, 0):
            kept.append(Problem(file=file, line=None, reason=f"and {plain_count(num_rest, 'more line')} like these"))
    return tuple(kept)
