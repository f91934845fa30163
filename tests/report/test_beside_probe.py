"""The part of the report that compares the network with a plain probe."""

from dataclasses import replace

import pytest

from tasks.report.beside_probe import answer_of, probe_section
from tasks.report.page import page
from tasks.results.probe import ProbeDifference
from tests.records import some


def difference(low, high, target="action"):
    change = {"difference": (low + high) / 2, "interval": (low, high), "num_clips": 15, "num_sources": 3}
    return some(ProbeDifference, target=target, **change)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (
            (0.1, 0.3),
            "The trained head is better than a plain probe: +20.0 points of action top-1 on test (15 clips of 3 source videos; 95 % CI",
        ),
        ((-0.3, -0.1), "A plain probe is better than the trained head: choose head=probe. -20.0 points of action top-1 on test"),
        ((-0.1, 0.1), "The data cannot tell whether the trained head is better than a plain probe, which trains in seconds: 0.0 points"),
    ],
)
def test_the_answer_is_what_the_interval_allows(interval, said):
    assert answer_of(difference(*interval), "test").startswith(said)


def test_the_page_has_the_comparison_or_says_why_there_is_none(make_inputs, page_of):
    inputs = make_inputs("usual")

    def shown(**changes):
        return page(replace(inputs, metrics=inputs.metrics.model_copy(update=changes)))

    assert "plain probe" not in page_of("usual")
    assert probe_section(inputs.metrics) is None
    compared = shown(probe=tuple(difference(-0.1, 0.1, target) for target in ("verb", "noun", "action")))
    assert "Beside a plain probe" in compared
    assert "[-10.0, 10.0]" in compared
    none = shown(no_probe="features of 2 clips were not kept")
    assert "The network is not compared with a plain probe: features of 2 clips were not kept." in none
