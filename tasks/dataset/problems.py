"""What was refused in annotation files, told at a length that a person reads."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest

from tasks.dataset.rows import AnnotationFile
from tasks.results.dataset import Problem

MAX_PROBLEMS_A_FILE = 1000


def first_problems(file: str, refused: Sequence[tuple[int, str]], num_more: Counter[str]) -> list[Problem]:
    """The first of a file's refused lines, for a record of each of a million takes more memory than the file; the others are counted."""
    num_more[file] += max(0, len(refused) - MAX_PROBLEMS_A_FILE)
    return [Problem(file=file, line=line, reason=reason) for line, reason in nsmallest(MAX_PROBLEMS_A_FILE, refused)]


def in_order(problems: Iterable[Problem], files: Sequence[AnnotationFile], num_more: Mapping[str, int]) -> tuple[Problem, ...]:
    """By file in order of upload, then by line; a file with very many is cut short, with the number of the rest.

    `num_more` counts by file what is not among the `problems`.
    """
    order = {file.name: place for place, file in enumerate(files)}
    by_file: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in sorted(problems, key=lambda p: (order.get(p.file, len(order)), p.file, p.line or 0, p.reason)):
        by_file[problem.file].append(problem)
    told = []
    for file, own in by_file.items():
        told += own[:MAX_PROBLEMS_A_FILE]
        if num_rest := len(own) - len(own[:MAX_PROBLEMS_A_FILE]) + num_more.get(file, 0):
            told.append(Problem(file=file, line=None, reason=f"and {num_rest} more lines like these"))
    return tuple(told)
