import pytest

from tasks.judge.report import formats
from tasks.judge.report.machine import machine_rows


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


@pytest.mark.parametrize(("value", "words"), [(None, "none"), (True, "yes"), (1e-5, "1e-05"), (60, "60"), ("auto", "auto")])
def test_settings_are_words(value, words):
    assert formats.setting(value) == words


def test_what_is_no_time_is_unknown_and_code_cannot_be_left():
    assert formats.utc("None") == "unknown date"
    assert formats.code("a`b\nc") == "`a'b c`"


def test_a_machine_has_sizes_and_its_versions_stand_together():
    hardware = {"device": "cpu", "memory_bytes": 8 * 2**30, "num_cores": 2, "version.torch": "2.13.0", "version.timm": "1.0.20"}
    assert (
        " | ".join(map(" ".join, machine_rows(hardware))) == "device cpu | memory 8 GiB | num cores 2 | versions torch 2.13.0, timm 1.0.20"
    )
    assert machine_rows({}) == []
