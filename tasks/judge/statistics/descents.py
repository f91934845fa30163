"""Test whether the validation error of a long training falls a second time.

Legend: e kept epochs, n clips.
"""

from collections.abc import Sequence
from itertools import combinations

from tasks.errors import BadInput
from tasks.judge.statistics.kept_answers import KeptAnswers
from tasks.judge.statistics.multiplicity import holm
from tasks.judge.statistics.paired import PairedChange, paired_change
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.long_training import ErrorChange, KeptScore, LongTraining
from tasks.store.records.record import Target
from tasks.store.records.training import Epoch


def first_without_error(epochs: Sequence[Epoch]) -> int | None:
    """Find the first epoch whose training clips were all answered right.

    None if there is none, or if training accuracy was not recorded.
    """
    for one in epochs:
        top1 = one.train_verb_top1 if one.train_action_top1 is None else one.train_action_top1
        if top1 == 1:
            return one.epoch
    return None


def long_training(kept: Sequence[KeptAnswers], epochs: Sequence[Epoch], target: Target, *, num_resamples: int = 2000) -> LongTraining:
    """Look for a second descent among the epochs whose heads were kept.

    Nakkiran et al. 2019 (Deep Double Descent, arXiv 1912.02292, section 6) call it epoch-wise double descent: the test error falls, rises
    until about where the training error reaches 0, and falls again. The epochs are 1, 2, 4, 8 … and the last: as dense as the logarithmic
    axis on which it shows, and few enough to test all.

    The peak is the epoch that stands highest above the lower one of the lowest errors before it and after it; these two are the first and the
    second minimum. It is a second descent if both changes, the rise to the peak and the fall from it, are significant: paired tests on the
    same clips with source videos resampled (`paired_change`). Because the three epochs are chosen by their errors, p-values are corrected for
    all e (e - 1) / 2 pairs of epochs (Holm), which holds whichever pair is chosen. If the error never falls after a rise, none is seen.

    Args:
        kept: the answers on the same n clips, by epoch.
        epochs: the training, for its own errors.
        target: the one whose error counts.
        num_resamples: bootstrap draws.

    Raises:
        BadInput: the epochs have answers for different clips, or there are none.
    """
    if not kept or any((one.uids, one.sources) != (kept[0].uids, kept[0].sources) for one in kept):
        raise BadInput("the kept epochs have no answers, or answers for different clips; train again")
    sources = kept[0].sources
    wrong = [~one.right[target] for one in kept]
    errors = [int(one.sum()) for one in wrong]
    changes: dict[tuple[int, int], PairedChange] = {
        (i, j): paired_change(wrong[j], wrong[i], sources, num_resamples=num_resamples) for i, j in combinations(range(len(kept)), 2)
    }
    p_values = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))

    def change(first: int, second: int) -> ErrorChange:
        found = changes[first, second]
        return ErrorChange(
            first_epoch=kept[first].epoch,
            second_epoch=kept[second].epoch,
            difference=found.difference,
            interval=found.interval,
            p_value=p_values[first, second],
        )

    shape = rise_and_fall(errors)
    return LongTraining(
        target=target,
        num_clips=len(sources),
        num_sources=len(set(sources)),
        scores=tuple(_score(one, target) for one in kept),
        fitted_epoch=first_without_error(epochs),
        rise=change(shape[0], shape[1]) if shape else None,
        fall=change(shape[1], shape[2]) if shape else None,
        gain=change(shape[0], shape[2]) if shape else None,
    )


def rise_and_fall(errors: Sequence[int]) -> tuple[int, int, int] | None:
    """Find the first minimum, the peak and the second minimum of `errors`.

    Returns their indices; None if no error lies between two lower ones. Of equal ones, the first.
    """
    best: tuple[int, int, int] | None = None
    highest = 0
    for peak in range(1, len(errors) - 1):
        before = min(range(peak), key=errors.__getitem__)
        after = min(range(peak + 1, len(errors)), key=errors.__getitem__)
        height = errors[peak] - max(errors[before], errors[after])
        if height > highest:
            best, highest = (before, peak, after), height
    return best


def _score(one: KeptAnswers, target: Target) -> KeptScore:
    right = one.right[target]
    low, high = top1_interval(right, one.sources)
    return KeptScore(epoch=one.epoch, error=1 - float(right.mean()), interval=(1 - high, 1 - low), loss=float(one.losses.mean()))
