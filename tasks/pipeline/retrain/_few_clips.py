"""Recommend a head where training clips are few."""

from collections.abc import Sequence

from tasks.options import FEW_CLIPS, Family, Head, TrainOptions
from tasks.store.records.dataset import DatasetClip
from tasks.wording import count

REVERSES = (("put", "take"), ("open", "close"), ("insert", "remove"), ("turn-on", "turn-off"), ("fold", "unfold"), ("lift", "drop"))
"""Verbs that are often each other's reverse."""


def advice(train: TrainOptions, clips: Sequence[DatasetClip]) -> str | None:
    """Say in one line which head suits these training clips, and why.

    None if they are many, or if nothing is trained.
    """
    num_sources = len({clip.source for clip in clips})
    if train.fuse or not 0 < len(clips) < FEW_CLIPS:
        return None
    of = f"{count(len(clips), 'training clip')} of {count(num_sources, 'source video')}"
    if train.head is Head.PROBE:
        return f"head: probe, as recommended for {of}"
    verbs = {clip.verb for clip in clips}
    pair = next((pair for pair in REVERSES if verbs.issuperset(pair)), None)
    unlike = f", but cannot tell {pair[0]} from {pair[1]} by the order of frames; compare it with head tcn" if pair else ""
    family = "family=TSN and " if train.family in (Family.TRN, Family.MTRN) else ""
    return f"head: probe is recommended for {of}, with {family}trainable=heads: it has one setting, chosen by cross-validation, and no epochs{unlike}"
