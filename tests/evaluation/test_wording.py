import pytest

from tasks.evaluation.wording import count, listed, p_value, percent, percent_interval, points, quoted, roughly, signed


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.3478), "34.8 %"),
        (percent_interval((-0.0001, 0.52149)), "[0.0, 52.1]"),
        (percent_interval((-1, 1)), "[-100.0, 100.0]"),
        (count(1, "clip"), "1 clip"),
        (count(0, "clip"), "0 clips"),
        (count(12000, "clip"), "12,000 clips"),
        (signed(0.083), "+8.3"),
        (signed(-0.083), "-8.3"),
        (signed(-0.0002), "0.0"),
        (points(-0.083), "8.3 points"),
        (points(0.01), "1.0 point"),
        (p_value(0.015625), "p = 0.016"),
        (p_value(0.0004), "p < 0.001"),
        (p_value(1.0), "p = 1"),
        (roughly(7), "about 7"),
        (roughly(231), "about 240"),
        (roughly(1201), "about 1,300"),
        (quoted("a \n# b"), "'a # b'"),
        (listed(["a"]), "a"),
        (listed(["a", "b"]), "a and b"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_in_words(written, expected):
    assert written == expected


def test_a_long_name_is_cut():
    assert len(quoted("x" * 500)) == 62
