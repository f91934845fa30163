"""Several tests at once: how sure each is, given that there were others."""

from collections.abc import Sequence

LEVEL = 0.05
"""What is called certain is so by chance in at most this share of families of tests."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979, A simple sequentially rejective multiple test procedure).

    Who calls those below 0.05 certain names one wrongly in at most one of twenty such families, whether or not the tests depend on each other.

    Returns:
        the adjusted p-values, in the order of `p_values`.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def significant(p_values: Sequence[float], least_p_values: Sequence[float], level: float) -> list[bool]:
    """Tell which tests of few counts are significant, corrected for the number of those that could be (Tarone 1990).

    Of equal things, one or more is called significant in at most `level` of such families. A test on so few counts that even the clearest
    outcome would not be significant costs the others nothing.

    Args:
        p_values: of the tests.
        least_p_values: what each would be at the clearest outcome that its counts allow.
        level: 0.05, say.
    """
    num_tests = next(
        (num for num in range(1, len(p_values) + 1) if sum(least <= level / num for least in least_p_values) <= num), len(p_values)
    )
    return [p * num_tests <= level for p in p_values]
