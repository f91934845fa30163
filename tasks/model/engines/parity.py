"""Whether an engine answers as PyTorch does in float32, on a few clips of the very run that it is to score.

What is asked of it:

- every logit is within a tolerance of PyTorch's: 0.25 standard deviations of the head's logits in bfloat16 and float16, an absolute 0.001
  in float32;
- the best verb and noun of every clip, among the classes that were trained, are PyTorch's own, but for a near tie: PyTorch's logits of the two
  classes lie no further apart than that tolerance. Heads that are not trained have many, and rounding decides them on any machine;
- int8 is coarser, and what it does to one clip says little of the next. It is checked on the centre crop of 30 clips: the largest difference of
  a clip's logits is within 0.75 standard deviations in the mean over clips, and the best class is another one in at most one clip of 20;
- where the graph was converted, its features in float32 are PyTorch's within a thousandth of the largest: a wrong graph cannot hide behind
  a tolerance that is there for rounding.

A few clips show that an engine is sound; they do not show that no other clip of the run is decided otherwise. How far the logits went
apart is part of the result.
"""

# n: clips, t: segments, h, w: pixels, p: 8-bit planes, v: classes of a head

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.model.crops import Frames, NumCrops, cut_views
from tasks.model.engines.engine import Engine
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.results.dataset import DatasetClip
from tasks.results.evaluation import EnginePrecision

NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8 = 3, 30
MAX_SHARE_FLIPPED_IN_INT8 = 1 / 20
SHARE_OF_STD: dict[EnginePrecision, float] = {"bfloat16": 0.25, "float16": 0.25, "int8": 0.75}
ABSOLUTE = 1e-3
"""Largest difference of a logit in float32."""
GRAPH = 1e-3
"""Largest difference of a feature of the converted graph in float32, as a share of the largest feature."""


@dataclass(frozen=True)
class Trained:
    """The ids of the classes that a network's training had clips of."""

    verbs: tuple[int, ...]
    nouns: tuple[int, ...]


def trained_classes(trained_on: Sequence[DatasetClip]) -> Trained | None:
    """The classes of these clips; None where there are no clips, so that nothing is known."""
    if not trained_on:
        return None
    verbs, nouns = ({getattr(clip, name) for clip in trained_on} for name in ("verb_class", "noun_class"))
    return Trained(tuple(sorted(verbs)), tuple(sorted(nouns)))


@dataclass(frozen=True)
class Parity:
    """What was found. `max_difference` and `tolerance` are of the head that comes nearest to its limit; `failure` is None where all is well.

    In int8 `max_difference` is the mean over clips of each one's largest.
    """

    num_clips: int
    max_difference: float
    tolerance: float
    failure: str | None


def check(engine: Engine, reference: Engine, clips: Sequence[Frames], trained: Trained | None = None) -> Parity:
    """Score `clips`, at least one, by both engines.

    Args:
        engine: the one that wants to be trusted.
        reference: PyTorch in float32, with the same network.
        clips: test snippets, each uint8 (t, h, w, p).
        trained: the classes that a best one is looked for among; None for all.
    """
    num_crops: NumCrops = 1 if engine.precision == "int8" else engine.num_crops
    answers, expected = ([one.answer(one.see(clip, num_crops)) for clip in clips] for one in (engine, reference))
    heads = [
        compare(
            head,
            torch.stack([getattr(a, head) for a in answers]),
            torch.stack([getattr(e, head) for e in expected]),
            engine.precision,
            classes,
        )
        for head, classes in (("verb", trained.verbs if trained else None), ("noun", trained.nouns if trained else None))
    ]
    worst = max(heads, key=lambda parity: parity.max_difference / (parity.tolerance or 1))
    failures = [_wrong_graph(engine, reference, clips[0]), *(parity.failure for parity in heads)]
    failure = next((reason for reason in failures if reason), None)
    return Parity(len(clips), worst.max_difference, worst.tolerance, failure)


def compare(head: str, logits: Tensor, expected: Tensor, precision: EnginePrecision, classes: Sequence[int] | None = None) -> Parity:
    """One head's logits (n, v) beside those of PyTorch in float32; the best class is looked for among `classes`, or all."""
    of_clips = (logits - expected).abs().amax(dim=1)
    difference = float(of_clips.mean() if precision == "int8" else of_clips.max())
    tolerance = SHARE_OF_STD[precision] * float(expected.std(dim=1).mean()) if precision in SHARE_OF_STD else ABSOLUTE
    # A head may lack a class that was taught later, or all of them.
    places = [class_id for class_id in classes or () if class_id < logits.shape[1]] or list(range(logits.shape[1]))
    named, wanted = logits[:, places], expected[:, places]
    num_flipped = int((_margins_lost(named, wanted) > tolerance).logical_and(named.argmax(1) != wanted.argmax(1)).sum())
    max_flipped = int(MAX_SHARE_FLIPPED_IN_INT8 * len(logits)) if precision == "int8" else 0
    failure = None
    if not difference <= tolerance:  # also where one is not a number
        in_the_mean = " in the mean over clips" if precision == "int8" else ""
        failure = f"a {head} logit differs by {difference:.3g}{in_the_mean}, and {tolerance:.3g} is allowed"
    elif num_flipped > max_flipped:
        failure = f"the best {head} of {num_flipped} of {len(logits)} clips is another one"
    return Parity(len(logits), difference, tolerance, failure)


def _margins_lost(logits: Tensor, expected: Tensor) -> Tensor:
    """(n,) by how much `expected` prefers its own best class to that of `logits`."""
    return expected.max(dim=1).values - expected.gather(1, logits.argmax(dim=1, keepdim=True)).squeeze(1)


def _wrong_graph(engine: Engine, reference: Engine, clip: Frames) -> str | None:
    if not isinstance(engine, OpenvinoEngine):
        return None
    view = cut_views(clip, 1, reference.network.spec.modality)[0]
    expected = reference.features([view])[0]
    difference = float((engine.features_in_float32(view) - expected).abs().max() / expected.abs().max())
    if difference <= GRAPH:
        return None
    return f"in float32 a feature of the converted graph differs by {difference:.2g} of the largest, and {GRAPH:g} is allowed"
