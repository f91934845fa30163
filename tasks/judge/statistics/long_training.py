"""Test whether the validation error of a long training falls a second time.

Legend: e kept epochs, n clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of, decode, encode
from tasks.judge.statistics.paired import PairedChange, paired_change
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import holm, top1_interval
from tasks.store.records.curves import ErrorChange, KeptScore, LongTraining
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.record import TARGETS, Target
from tasks.store.records.training import Epoch

SCHEMA = pa.schema(
    [
        ("epoch", pa.int64()),
        ("uid", pa.string()),
        ("source", pa.string()),
        *((f"{target}_right", pa.bool_()) for target in TARGETS),
        ("loss", pa.float64()),
    ]
)


@dataclass(frozen=True)
class KeptAnswers:
    """The answers of the heads after one epoch, counted from 0.

    Attributes:
        uids, sources: (n,) each clip and its source video.
        right: (n,) by target, whether the top-1 answer is right.
        losses: (n,) cross-entropy of verb plus noun, in nats.
    """

    epoch: int
    uids: tuple[str, ...]
    sources: tuple[str, ...]
    right: dict[Target, NDArray[np.bool_]]
    losses: NDArray[np.float64]

    @classmethod
    def of(cls, epoch: int, clips: ScoredClips, vocabulary: Vocabulary) -> "KeptAnswers":
        """Rank the answers."""
        right = {target: answers.right for target, answers in answers_of(clips, vocabulary).items()}
        return cls(epoch, clips.uids, clips.sources, right, clips.losses)


def first_without_error(epochs: Sequence[Epoch]) -> int | None:
    """Find the first epoch without training errors, if there is one and they were recorded."""
    for epoch in epochs:
        top1 = epoch.train_verb_top1 if epoch.train_action_top1 is None else epoch.train_action_top1
        if top1 == 1:
            return epoch.epoch
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

    Raises:
        BadInput: the epochs have answers for different clips, or there are none.
    """
    if not kept or any((epoch.uids, epoch.sources) != (kept[0].uids, kept[0].sources) for epoch in kept):
        raise BadInput("the kept epochs have no answers, or answers for different clips; train again")
    sources = kept[0].sources
    wrong = [~epoch.right[target] for epoch in kept]
    errors = [int(of_epoch.sum()) for of_epoch in wrong]
    changes: dict[tuple[int, int], PairedChange] = {
        (i, j): paired_change(wrong[j], wrong[i], sources, num_resamples=num_resamples) for i, j in combinations(range(len(kept)), 2)
    }
    p_values = dict(zip(changes, holm([change.p_value for change in changes.values()]), strict=True))

    def change(first: int, second: int) -> ErrorChange:
        paired = changes[first, second]
        return ErrorChange(
            first_epoch=kept[first].epoch,
            second_epoch=kept[second].epoch,
            difference=paired.difference,
            interval=paired.interval,
            p_value=p_values[first, second],
        )

    shape = rise_and_fall(errors)
    return LongTraining(
        target=target,
        num_clips=len(sources),
        num_sources=len(set(sources)),
        scores=tuple(_score(epoch, target) for epoch in kept),
        fitted_epoch=first_without_error(epochs),
        rise=change(shape[0], shape[1]) if shape else None,
        fall=change(shape[1], shape[2]) if shape else None,
        gain=change(shape[0], shape[2]) if shape else None,
    )


def rise_and_fall(errors: Sequence[int]) -> tuple[int, int, int] | None:
    """Find the indices of first minimum, peak and second minimum; of equal ones, the first.

    None if no error lies between two lower ones.
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


def _score(answers: KeptAnswers, target: Target) -> KeptScore:
    right = answers.right[target]
    low, high = top1_interval(right, answers.sources)
    return KeptScore(epoch=answers.epoch, error=1 - float(right.mean()), interval=(1 - high, 1 - low), loss=float(answers.losses.mean()))


def to_parquet(kept: Sequence[KeptAnswers]) -> bytes:
    """Encode the answers of several epochs, in order."""
    columns = {
        "epoch": np.repeat([epoch.epoch for epoch in kept], [len(epoch.uids) for epoch in kept]),
        "uid": [uid for epoch in kept for uid in epoch.uids],
        "source": [source for epoch in kept for source in epoch.sources],
        **{f"{target}_right": np.concatenate([epoch.right[target] for epoch in kept]) for target in TARGETS},
        "loss": np.concatenate([epoch.losses for epoch in kept]),
    }
    return encode(pa.table(columns, schema=SCHEMA))


def from_parquet(data: bytes, uri: str) -> list[KeptAnswers]:
    """Read what `to_parquet` wrote.

    Raises:
        BadInput: the bytes are not a file of answers.
    """
    table = decode(data, uri, SCHEMA, "answers after epochs")
    epochs = table["epoch"].to_numpy()
    kept = []
    for epoch in dict.fromkeys(epochs.tolist()):
        rows = table.filter(pa.array(epochs == epoch))
        right: dict[Target, NDArray[np.bool_]] = {target: rows[f"{target}_right"].to_numpy() for target in TARGETS}
        uids, sources = (tuple(rows[name].to_pylist()) for name in ("uid", "source"))
        kept.append(KeptAnswers(epoch, uids, sources, right, rows["loss"].to_numpy()))
    return kept
