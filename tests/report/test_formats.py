import pytest

from tasks.report import formats


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (0.0042, "4.20 ms"),
        (0.018, "18 ms"),
        (1.85, "1.85 s"),
        (0.9999, "1.00 s"),
        (300, "5 min"),
        (7380, "2 h 03 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_a_duration_has_the_unit_that_fits(duration, words):
    assert formats.seconds(duration) == words


@pytest.mark.parametrize(
    ("iso", "words"),
    [
        ("2026-11-26T00:25:13+00:00", "2026-11-26 00:25 UTC"),
        ("2026-11-26T01:25:13+01:00", "2026-11-26 00:25 UTC"),
        ("2026-11-26T00:25:13Z", "2026-11-26 00:25 UTC"),
        ("2026-11-26T00:25:13", "2026-11-26 00:25 UTC"),
    ],
)
def test_times_are_in_utc(iso, words):
    assert formats.utc(iso) == words


@pytest.mark.parametrize(("number", "words"), [(1, "1 class"), (2, "2 classes"), (1200, "1,200 classes")])
def test_classes_have_their_plural(number, words):
    assert formats.counted(number, "class") == words


@pytest.mark.parametrize(("num_bytes", "words"), [(512 * 2**20, "512 MiB"), (1_934_000_000, "1.8 GiB")])
def test_sizes_are_binary(num_bytes, words):
    assert formats.size(num_bytes) == words


@pytest.mark.parametrize(("value", "words"), [(None, "none"), (True, "yes"), (1e-5, "1e-05"), (60, "60"), ("auto", "auto")])
def test_settings_are_words(value, words):
    assert formats.setting(value) == words


def test_what_is_no_time_is_unknown():
    assert formats.utc("None") == "unknown date"


def test_code_cannot_be_left():
    assert formats.code("a`b\nc") == "`a'b c`"
