"""Count earlier decisions on the same clips, and bound the risk of promotion by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.judge.statistics.uncertainty import TAIL
from tasks.store.records.evaluation import Attempt
from tasks.store.records.record import SplitName
from tasks.wording import count, percent


@dataclass(frozen=True)
class Decided:
    """A network with a decision.

    Its training run, its dataset, and the clips of the deciding split.
    """

    run_key: str
    dataset_digest: str
    uids: frozenset[str]


def attempt_of(this: Decided, earlier: Sequence[Decided]) -> Attempt:
    """Count the networks with an earlier decision on these clips.

    Clips count as the same if at least half of them were in the earlier decision, since a few new ones change little. A network with
    several decisions, for example under other rules or against another champion, counts once.
    """
    others = {one.run_key: one for one in earlier if one.run_key != this.run_key}.values()
    return Attempt(
        number=1 + sum(2 * len(one.uids & this.uids) >= len(this.uids) for one in others),
        num_others_on_dataset=sum(one.dataset_digest == this.dataset_digest for one in others),
    )


def chance_of_passing(attempt: Attempt) -> float:
    """Bound the chance that any of the networks passes although all are equally good.

    Each passes in at most 1 of 40 decisions. Decisions on the same clips are correlated, which only lowers the chance that any passes.
    """
    return float(1 - (1 - TAIL) ** attempt.number)


def attempt_in_words(attempt: Attempt | None, split: SplitName) -> str:
    """Describe this decision's number and risk as plain text.

    Empty for results of versions that did not count.
    """
    if attempt is None:
        return ""
    if attempt.number == 1:
        risk = f"A network that is no better than its opponent passes by chance in at most about {percent(TAIL)} of such decisions."
    else:
        new = (
            "new clips for more than half of val, or a test split (test_share), restart"
            if split == "val"
            else "new clips for more than half of test restart"
        )
        risk = (
            f"If none of {count(attempt.number, 'network')} is better, the chance that at least one passes is at most about "
            f"{percent(chance_of_passing(attempt))}; {new} the count."
        )
    before = count(attempt.number - 1, "other network")
    first = f"the first decision on these {split} clips under this model name"
    which = first if attempt.number == 1 else f"decision number {attempt.number}, after {before}, on half or more of these {split} clips"
    return f"This is {which}. {risk}"
