"""Correct p-values for multiple testing."""

from collections.abc import Sequence

LEVEL = 0.05
"""Family-wise error rate. The share of families of tests in which any result is called significant by chance."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979, A simple sequentially rejective multiple test procedure).

    Calling adjusted p-values below 0.05 significant keeps the family-wise error rate at 5 % at most, whether or not the tests are independent.

    Returns:
        the adjusted p-values, in the order of `p_values`.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def significant(p_values: Sequence[float], min_p_values: Sequence[float], level: float) -> list[bool]:
    """Find the significant tests on small counts, with Tarone's correction (1990).

    Keeps the family-wise error rate at `level` at most. Tests with counts too small to be significant at all are not counted, so they do
    not weaken the others.

    Args:
        p_values: of the tests.
        min_p_values: the smallest p-value that each test's counts allow.
        level: family-wise error rate, such as 0.05.
    """
    num_tests = next((num for num in range(1, len(p_values) + 1) if sum(p <= level / num for p in min_p_values) <= num), len(p_values))
    return [p * num_tests <= level for p in p_values]
