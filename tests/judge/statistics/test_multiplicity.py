import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.judge.statistics.multiplicity import holm, significant

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=P_VALUES)
def test_a_test_among_others_is_never_surer_than_alone_and_never_less_sure_than_by_bonferroni(p_values):
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= max(p, min(1, len(p_values) * p))


@given(p_values=P_VALUES)
def test_the_order_stays(p_values):
    adjusted = holm(p_values)
    assert sorted(range(len(adjusted)), key=lambda i: (adjusted[i], p_values[i], i)) == sorted(
        range(len(adjusted)), key=lambda i: (p_values[i], i)
    )


def test_tests_that_could_never_be_significant_cost_the_others_nothing():
    hopeless, clear = 0.25, 0.5**6
    assert significant([clear], [clear], 0.05) == [True]
    assert significant([clear, *[0.5] * 7], [clear, *[hopeless] * 7], 0.05) == [True, *[False] * 7]
    assert significant([clear, *[0.5] * 7], [clear] * 8, 0.05) == [False] * 8
    assert significant([], [], 0.05) == []


@given(counts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=12))
def test_the_correction_is_no_milder_than_none_and_no_harsher_than_bonferroni(counts):
    p_values = [0.5 ** max(wins - losses, 0) for wins, losses in counts]
    least = [0.5 ** (wins + losses) for wins, losses in counts]
    for p, is_one in zip(p_values, significant(p_values, least, 0.05), strict=True):
        assert (p <= 0.05 / len(counts)) <= is_one <= (p <= 0.05)
