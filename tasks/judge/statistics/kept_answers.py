"""Write and read the answers of a long training's kept heads on val.

One row per epoch and clip.

Legend: n clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.parquet import decode, encode
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.record import TARGETS, Target

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


def to_parquet(kept: Sequence[KeptAnswers]) -> bytes:
    """Encode the answers of several epochs, in order."""
    columns = {
        "epoch": np.repeat([one.epoch for one in kept], [len(one.uids) for one in kept]),
        "uid": [uid for one in kept for uid in one.uids],
        "source": [source for one in kept for source in one.sources],
        **{f"{target}_right": np.concatenate([one.right[target] for one in kept]) for target in TARGETS},
        "loss": np.concatenate([one.losses for one in kept]),
    }
    return encode(pa.table(columns, schema=SCHEMA))


def from_parquet(data: bytes, uri: str) -> list[KeptAnswers]:
    """Read what `to_parquet` wrote.

    Raises:
        BadInput: the bytes are not a file of answers.
    """
    table = decode(data, uri, SCHEMA, "answers after epochs")
    epochs = table["epoch"].to_numpy()
    found = []
    for epoch in dict.fromkeys(epochs.tolist()):
        rows = table.filter(pa.array(epochs == epoch))
        right: dict[Target, NDArray[np.bool_]] = {target: rows[f"{target}_right"].to_numpy() for target in TARGETS}
        uids, sources = (tuple(rows[name].to_pylist()) for name in ("uid", "source"))
        found.append(KeptAnswers(epoch, uids, sources, right, rows["loss"].to_numpy()))
    return found
