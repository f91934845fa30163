"""Score a network by groups of clips: source videos, and the values of columns of annotation files.

Legend: n clips, s source videos.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact
from scipy.stats import t as student

from tasks.judge.statistics.paired import holm
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.metrics import GroupScore

SOURCE_VIDEO = "source video"
MIN_CLIPS, MIN_SOURCES = 5, 2
"""A group with fewer, or with fewer beside it, is too small to tell; a source video needs no others like it."""
MAX_VALUES = 30
"""A column with more values is no column of groups, such as one of remarks."""

Right = NDArray[np.bool_]


def group_scores(right: Right, sources: Sequence[str], columns: Mapping[str, Sequence[str | None]]) -> tuple[GroupScore, ...]:
    """Score each group of each column, the worst of a column first.

    Args:
        right: (n,) whether each clip's answer is right.
        sources: (n,) the source video of each clip.
        columns: by name, `SOURCE_VIDEO` among them, the (n,) values; None where a clip has none.
    """
    groups = [
        _score(column, name, right, np.array(sources), np.array([value or "" for value in values]))
        for column, values in columns.items()
        for name in sorted({value for value in values if value})
        if column == SOURCE_VIDEO or 2 <= len({value for value in values if value}) <= MAX_VALUES
    ]
    corrected = [group for column in columns for group in _corrected([group for group in groups if group.column == column])]
    order = list(columns)
    return tuple(sorted(corrected, key=lambda group: (order.index(group.column), group.top1, -group.num_clips)))


def _corrected(groups: Sequence[GroupScore]) -> list[GroupScore]:
    """Correct the p-values of one column; columns that nobody asked for, such as the day, hide no other."""
    p_values = iter(holm([group.p_value for group in groups if group.p_value is not None]))
    return [group if group.p_value is None else group.model_copy(update={"p_value": next(p_values)}) for group in groups]


def _score(column: str, name: str, right: Right, sources: NDArray[np.str_], values: NDArray[np.str_]) -> GroupScore:
    inside, outside = values == name, (values != name) & (values != "")
    is_video = column == SOURCE_VIDEO
    # Of one video, the clips themselves are the sample.
    of_clip = np.arange(len(right)).astype(str) if is_video else sources
    num_needed = 1 if is_video else MIN_SOURCES
    is_enough = all(of.sum() >= MIN_CLIPS and len(set(sources[of])) >= num_needed for of in (inside, outside))
    return GroupScore(
        column=column,
        name=name,
        num_clips=int(inside.sum()),
        num_sources=len(set(sources[inside])),
        top1=float(right[inside].mean()),
        interval=top1_interval(right[inside], of_clip[inside].tolist()),
        is_worse=bool(outside.any() and right[inside].mean() < right[outside].mean()),
        p_value=_p_value(right, of_clip, inside, outside) if is_enough else None,
    )


def _p_value(right: Right, sources: NDArray[np.str_], inside: Right, outside: Right) -> float:
    """Test the difference of a group to the rest, two-sided.

    It is the larger one of Fisher's exact test, which takes clips as independent, and of Student's t with an error that is robust to clips of one video
    being alike (Liang and Zeger 1986), whose degrees of freedom are those of the part with fewer videos.
    """
    counts = [[int(right[of].sum()), int((~right[of]).sum())] for of in (inside, outside)]
    exact = float(fisher_exact(counts).pvalue)
    difference = right[inside].mean() - right[outside].mean()
    influence = np.where(inside, (right - right[inside].mean()) / inside.sum(), 0.0)
    influence -= np.where(outside, (right - right[outside].mean()) / outside.sum(), 0.0)
    _, of_source = np.unique(sources, return_inverse=True)
    num_sources = min(len(set(sources[of])) for of in (inside, outside))
    error = np.sqrt((np.bincount(of_source, weights=influence) ** 2).sum() * num_sources / (num_sources - 1))
    if not error:
        return exact
    return max(exact, float(2 * student.sf(abs(difference) / error, num_sources - 1)))
