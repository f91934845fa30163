import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.multiplicity import holm

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
