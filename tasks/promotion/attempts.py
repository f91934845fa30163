"""How often the clips that decide have decided before, and what that does to the risk of promoting an equally good network by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.evaluation.uncertainty import TAIL
from tasks.results.evaluation import Attempt
from tasks.results.record import SplitName
from tasks.wording import count, percent

ANEW: dict[SplitName, str] = {
    "val": "new videos in val, or a test split (test_share), begin",
    "test": "new videos in test begin",
}
"""How the count begins anew, by the split that decides."""


@dataclass(frozen=True)
class Decided:
    """A network that was decided on: its training, the dataset, and the clips of the split that decided."""

    run_key: str
    dataset_digest: str
    uids: frozenset[str]


def attempt_of(this: Decided, earlier: Sequence[Decided]) -> Attempt:
    """Count the networks that were decided on before.

    Clips count as the same where at least half of them decided then too: a few new ones change little. A network that is decided on again,
    say by other rules or against another champion, is counted once.
    """
    others = {one.run_key: one for one in earlier if one.run_key != this.run_key}.values()
    return Attempt(
        number=1 + sum(2 * len(one.uids & this.uids) >= len(this.uids) for one in others),
        num_others_on_dataset=sum(one.dataset_digest == this.dataset_digest for one in others),
    )


def chance_of_passing(attempt: Attempt) -> float:
    """Bound the chance that any of the networks passes, were all equally good.

    Each alone passes the interval in at most one of forty decisions; decisions on the same clips share their luck, which only lowers the chance.
    """
    return float(1 - (1 - TAIL) ** attempt.number)


def attempt_in_words(attempt: Attempt | None, split: SplitName) -> str:
    """Which attempt on these clips this is, and the risk, as plain text; empty where an older version did not count."""
    if attempt is None:
        return ""
    if attempt.number == 1:
        risk = f"A network that is no better passes by chance in up to about {percent(TAIL)} of such decisions."
    else:
        risk = (
            f"Of {count(attempt.number, 'network')} that are no better, at least one passes by chance in up to about "
            f"{percent(chance_of_passing(attempt))} of such series; {ANEW[split]} anew."
        )
    before = count(attempt.number - 1, "other network")
    told = "the first decision" if attempt.number == 1 else f"decision number {attempt.number}, after {before},"
    return f"This is {told} on these {split} clips under this model name. {risk}"
