"""Report how a trained network compares with a plain probe on the same features."""

from dataclasses import dataclass

from tasks.store.records.metrics import Metrics
from tasks.store.records.probe import ProbeDifference
from tasks.store.records.record import Target
from tasks.wording import count, percent, percent_interval, signed


@dataclass(frozen=True)
class ProbeRow:
    """One row of the table: a target."""

    target: Target
    network: str
    probe: str
    difference: str
    interval: str


@dataclass(frozen=True)
class ProbeSection:
    """The section's answer and table."""

    answer: str
    rows: tuple[ProbeRow, ...]


def probe_section(metrics: Metrics) -> ProbeSection | None:
    """Make the section; None where nothing was compared."""
    if not metrics.probe:
        return None
    return ProbeSection(answer_of(metrics.probe[-1], metrics.deciding_split), tuple(map(_row, reversed(metrics.probe))))


def answer_of(decisive: ProbeDifference, split: str) -> str:
    """Answer in two sentences whether the trained head is worth more than a probe."""
    low, high = decisive.interval
    clips = f"{count(decisive.num_clips, 'clip')} of {count(decisive.num_sources, 'source video')}"
    told = f"{signed(decisive.difference)} points of {decisive.target} top-1 on {split} ({clips}; 95 % CI {percent_interval(decisive.interval)})"
    if low > 0:
        answer = "The trained head is better than a plain probe"
    elif high < 0:
        answer = "A plain probe is better than the trained head: choose head=probe"
    else:
        answer = "The data cannot tell whether the trained head is better than a plain probe, which trains in seconds"
    return f"{answer}: {told}." if high >= 0 else f"{answer}. {told[0].upper()}{told[1:]}."


def _row(one: ProbeDifference) -> ProbeRow:
    return ProbeRow(
        target=one.target,
        network=percent(one.network_top1),
        probe=percent(one.probe_top1),
        difference=signed(one.difference),
        interval=percent_interval(one.interval),
    )
