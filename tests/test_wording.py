import pytest

from tasks.report.formats import leaning
from tasks.wording import (
    count,
    duration,
    listed,
    markdown_text,
    p_value,
    percent,
    percent_interval,
    plain_count,
    points,
    quantity,
    quoted,
    roughly,
    signed,
    size,
)
from tests.report.rendered import HOSTILE, rendered


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.3478), "34.8 %"),
        (percent_interval((-0.0001, 0.52149)), "[0.0, 52.1]"),
        (percent_interval((-1, 1)), "[-100.0, 100.0]"),
        (count(1, "clip"), "1 clip"),
        (count(0, "clip"), "0 clips"),
        (count(12000, "clip"), "12,000 clips"),
        (count(1, "class"), "1 class"),
        (count(1200, "class"), "1,200 classes"),
        (quantity(24_485_405), "24.5 million"),
        (quantity(999_600_000), "1.00 billion"),
        (quantity(655_402_000_000), "655 billion"),
        (quantity(1200), "1,200"),
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
        (plain_count(1, "clip"), "1 clip"),
        (plain_count(12000, "clip"), "12000 clips"),
        (listed(["a"]), "a"),
        (listed(["a", "b"]), "a and b"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_in_words(written, expected):
    assert written == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.0042, "4.20 ms"),
        (0.018, "18 ms"),
        (0.9999, "1.00 s"),
        (1.85, "1.85 s"),
        (41.2, "41 s"),
        (128, "2 min 08 s"),
        (300, "5 min 00 s"),
        (7380, "2 h 03 min"),
        (3_600_000, "1,000 h 00 min"),
    ],
)
def test_a_duration_has_the_unit_that_fits(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1536, "1.5 KiB"), (1023 << 10, "1023 KiB"), (98 << 20, "98 MiB"), (3 << 40, "3 TiB")],
)
def test_a_size_has_the_unit_that_fits(num_bytes, words):
    assert size(num_bytes) == words


def test_a_long_name_is_cut():
    assert len(quoted("x" * 500)) == 63


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_more_than_text_in_markdown(name):
    assert rendered(markdown_text(name)) == (["p"], [], " ".join(name.split()))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_table_a_list_or_bold_type(name):
    tags, links, text = rendered(f"| a | b |\n| --- | --- |\n| {markdown_text(name)} | end |")
    assert (tags.count("td"), links) == (2, [])
    assert text == f"a b {' '.join(name.split())} end"
    assert rendered(f"- {markdown_text(name)}")[0] == ["ul", "li"]
    assert rendered(f"x **{markdown_text(f'a {name} b')}**")[0] == ["p", "strong"]


def test_plain_words_stay_as_they_are():
    assert markdown_text("fine-tuned: 34.8 % (8 of 23), p = 0.016 + 1") == "fine-tuned: 34.8 % (8 of 23), p = 0.016 + 1"


def test_only_val_leans_towards_the_network_that_it_chose():
    assert "test_share" in leaning("val")
    assert leaning("test") == ""
