"""Say how often networks rightly and wrongly answer that nothing happens."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.store.records.evaluation import NothingScores
from tasks.wording import count, percent, percent_interval

TITLES = ("recognised [95 % interval]", "false alarms [95 % interval]")
LEGEND = (
    "Clips in which nothing happens count in no accuracy of verbs, nouns or actions; losses, calibration and the weights of a fusion are of all clips. "
    "Recognised are those of them that a network calls nothing; false alarms are the clips with an action that it calls nothing."
)


@dataclass(frozen=True)
class NothingRow:
    """One network: the clips it rightly calls nothing, and those that it wrongly does, each as text."""

    label: str
    recognised: str
    false_alarms: str

    @property
    def cells(self) -> tuple[str, str]:
        """Return the texts in the order of `TITLES`."""
        return self.recognised, self.false_alarms


def nothing_rows(scores: Iterable[tuple[str, NothingScores | None]]) -> tuple[NothingRow, ...]:
    """Build a row for each network by its label; none for a dataset that never says that nothing happens."""
    return tuple(
        NothingRow(
            label,
            _share(one.num_recognised, one.num_clips, one.recall, one.recall_interval),
            _share(one.num_false_alarms, one.num_action_clips, one.false_alarms, one.false_alarms_interval),
        )
        for label, one in scores
        if one
    )


def nothing_caption(scores: Iterable[NothingScores | None]) -> str:
    """Name the clips of the rows; empty if no network has such scores."""
    one = next(filter(None, scores), None)
    if one is None:
        return ""
    return f"Nothing happens in {count(one.num_clips, 'clip')} of {count(one.num_sources, 'source video')}"


def _share(number: int, total: int, share: float | None, interval: tuple[float, float] | None) -> str:
    return f"{number:,} of {total:,}: {percent(share)} {percent_interval(interval)}" if share is not None and interval else "-"
