"""The part of the report that compares the network with a plain probe."""

import pytest

from tasks.report.beside_probe import answer_of, probe_section
from tasks.report.page import page
from tasks.results.probe import ProbeDifference


def difference(low: float, high: float, target="action") -> ProbeDifference:
    return ProbeDifference(
        target=target,
        network_top1=0.5,
        probe_top1=0.5 - (low + high) / 2,
        difference=(low + high) / 2,
        interval=(low, high),
        p_value=0.5,
        num_clips=15,
        num_sources=3,
    )


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


def test_the_page_has_the_comparison_only_where_there_is_one(make_inputs):
    inputs = make_inputs("usual")
    assert "Beside a plain probe" not in page(inputs)
    assert probe_section(inputs.metrics) is None
    found = tuple(difference(-0.1, 0.1, target) for target in ("verb", "noun", "action"))
    compared = page(type(inputs)(**{**vars(inputs), "metrics": inputs.metrics.model_copy(update={"probe": found})}))
    assert "Beside a plain probe" in compared
    assert "[-10.0, 10.0]" in compared


def test_the_page_says_why_there_is_no_comparison_in_one_line(make_inputs):
    inputs = make_inputs("usual")
    assert "plain probe" not in page(inputs)
    metrics = inputs.metrics.model_copy(update={"no_probe": "features of 2 clips were not kept"})
    said = page(type(inputs)(**{**vars(inputs), "metrics": metrics}))
    assert "<p>The network is not compared with a plain probe: features of 2 clips were not kept.</p>" in said
