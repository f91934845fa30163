"""Whether the fine-tuned network takes the place of the one in use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.errors import BadInput
from tasks.results.evaluation import EvaluateResult
from tasks.results.record import SplitName

DECIDING_SPLITS: tuple[SplitName, ...] = ("test", "val")


@dataclass(frozen=True)
class Decision:
    """The fields of `CompareResult` that follow from the scores alone."""

    split: SplitName
    opponent: Literal["baseline", "champion"]
    opponent_top1: float
    challenger_top1: float
    promote: bool
    reason: str


def contenders(results: Sequence[EvaluateResult]) -> tuple[EvaluateResult, EvaluateResult]:
    """The fine-tuned network and what it must beat: the champion where there is one, else the baseline; on test where it exists, else on val.

    Raises:
        BadInput: neither split has both.
    """
    for split in DECIDING_SPLITS:
        by_model = {result.model: result for result in results if result.split == split}
        opponent = by_model.get("champion", by_model.get("baseline"))
        if opponent is not None and "fine-tuned" in by_model:
            return by_model["fine-tuned"], opponent
    raise BadInput("no split of test and val was scored with both the fine-tuned network and its opponent; run `evaluate` for both")


def decide(challenger: EvaluateResult, opponent: EvaluateResult) -> Decision:
    """Promote when the challenger's action top-1 is strictly higher; a tie changes nothing.

    A challenger that does no better than always guessing the commonest action may still win; the reason then ends in a warning.

    Args:
        challenger: the fine-tuned network's scores.
        opponent: the baseline's or the champion's, on the same clips and crops.

    Raises:
        BadInput: the two were not scored on the same split, clips and crops.
    """
    if opponent.model == "fine-tuned":
        raise BadInput(f"{opponent.predictions_uri}: the fine-tuned network is the challenger, not its own opponent")
    for field in ("split", "num_clips", "num_sources", "crops"):
        if getattr(challenger, field) != getattr(opponent, field):
            raise BadInput(
                f"the fine-tuned network and the {opponent.model} differ in {field} "
                f"({getattr(challenger, field)}, {getattr(opponent, field)}); evaluate both again on the same dataset"
            )
    ours, theirs = challenger.action.top1, opponent.action.top1
    promote = ours > theirs
    outcome = "is higher than" if promote else "equals" if ours == theirs else "is lower than"
    kept = "" if promote else "; the champion stays" if opponent.model == "champion" else "; no champion is named"
    reason = (
        f"action top-1 of the fine-tuned network, {percent(ours)}, {outcome} the {opponent.model}'s, {percent(theirs)}, "
        f"on {count(challenger.num_clips, f'{challenger.split} clip')} of {count(challenger.num_sources, 'source video')}{kept}"
    )
    majority = challenger.action.majority_top1
    if ours <= majority:
        reason += f". Warning: always guessing '{challenger.action.majority_class}' scores {percent(majority)}, so the network is no better than that"
    return Decision(challenger.split, opponent.model, theirs, ours, promote, reason)


def percent(share: float) -> str:
    """A share as people read it: `34.8 %`."""
    return f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
