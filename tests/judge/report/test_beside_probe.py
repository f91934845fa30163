"""The part of the report that compares the network with a plain probe."""

import pytest

from tasks.judge.report.beside_probe import answer_of
from tasks.store.records.probe import ProbeDifference
from tests.records import some


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
    clips = {"num_clips": 15, "num_sources": 3}
    found = some(ProbeDifference, target="action", difference=sum(interval) / 2, interval=interval, **clips)
    assert answer_of(found, "test").startswith(said)
