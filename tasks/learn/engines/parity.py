"""Check the parity of an engine with PyTorch in float32.

A few clips are compared. An engine passes if:

- every logit is within a tolerance of PyTorch's: 0.25 standard deviations of the head's logits in bfloat16 and float16, 0.001 in float32;
- the best verb and noun of every clip, among the trained classes, are PyTorch's, except for near ties: PyTorch's logits of the two classes
  are within the tolerance. Untrained heads have many ties, which rounding decides on any machine;
- in int8, which is coarser and varies from clip to clip, on the centre crop of 30 clips: the largest logit difference per clip is within
  0.75 standard deviations on average, and the best class differs in at most one of 20 clips;
- a converted graph's features in float32 are within a thousandth of the largest of PyTorch's features, so that the tolerance for rounding
  cannot hide a wrong graph.

The check shows that an engine works; it does not guarantee the same prediction for every other clip. The result records the difference.
"""

# n: clips, t: segments, h, w: pixels, p: 8-bit planes, v: classes of a head

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.learn.consensus import Logits
from tasks.learn.crops import Frames, NumCrops, cut_views
from tasks.learn.engines.engine import Engine
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.evaluation import EnginePrecision

NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8 = 3, 30
MAX_SHARE_FLIPPED_IN_INT8 = 1 / 20
SHARE_OF_STD: dict[EnginePrecision, float] = {"bfloat16": 0.25, "float16": 0.25, "int8": 0.75}
ABSOLUTE = 1e-3
"""Maximum logit difference in float32."""
GRAPH = 1e-3
"""Maximum difference of a converted graph's feature in float32, relative to the largest feature."""


@dataclass(frozen=True)
class Trained:
    """Ids of the classes that occur in a network's training clips."""

    verbs: tuple[int, ...]
    nouns: tuple[int, ...]


def trained_classes(trained_on: Sequence[DatasetClip]) -> Trained | None:
    """Collect the classes of the training clips; None if there are no clips."""
    if not trained_on:
        return None
    verbs, nouns = ({getattr(clip, name) for clip in trained_on} for name in ("verb_class", "noun_class"))
    return Trained(tuple(sorted(verbs)), tuple(sorted(nouns)))


@dataclass(frozen=True)
class Parity:
    """Result of the check.

    `max_difference` and `tolerance` belong to the head that is closest to its limit; in int8 `max_difference` is the mean over clips of the
    largest difference per clip. `failure` is None if the check passed.
    """

    num_clips: int
    max_difference: float
    tolerance: float
    failure: str | None


def check(engine: Engine, reference: Engine, clips: Sequence[Frames], trained: Trained | None = None) -> Parity:
    """Compare the logits of both engines on `clips`, at least one.

    Args:
        engine: the engine under test.
        reference: PyTorch in float32, with the same network.
        clips: test snippets, each uint8 (t, h, w, p).
        trained: classes considered for the best one; None for all.
    """
    num_crops: NumCrops = 1 if engine.precision == "int8" else engine.num_crops
    answers, expected = ([one.answer(one.see(clip, num_crops)) for clip in clips] for one in (engine, reference))
    found = compare_answers(answers, expected, engine.precision, trained)
    return replace(found, failure=_wrong_graph(engine, reference, clips[0]) or found.failure)


def compare_answers(answers: Sequence[Logits], expected: Sequence[Logits], precision: EnginePrecision, trained: Trained | None) -> Parity:
    """Compare the logits of clips, (v,) and (n,), with those of PyTorch in float32, as `check` does."""
    heads = [
        compare(
            head, torch.stack([getattr(a, head) for a in answers]), torch.stack([getattr(e, head) for e in expected]), precision, classes
        )
        for head, classes in (("verb", trained.verbs if trained else None), ("noun", trained.nouns if trained else None))
    ]
    worst = max(heads, key=lambda parity: parity.max_difference / (parity.tolerance or 1))
    return replace(worst, failure=next((parity.failure for parity in heads if parity.failure), None))


def compare(head: str, logits: Tensor, expected: Tensor, precision: EnginePrecision, classes: Sequence[int] | None = None) -> Parity:
    """Compare one head's logits (n, v) with those of PyTorch in float32.

    Top-1 is taken among `classes`, or among all.
    """
    of_clips = (logits - expected).abs().amax(dim=1)
    difference = float(of_clips.mean() if precision == "int8" else of_clips.max())
    tolerance = SHARE_OF_STD[precision] * float(expected.std(dim=1).mean()) if precision in SHARE_OF_STD else ABSOLUTE
    # A head may lack some or all of these classes, if they were added later.
    ids = [class_id for class_id in classes or () if class_id < logits.shape[1]] or list(range(logits.shape[1]))
    ours, theirs = logits[:, ids], expected[:, ids]
    num_flipped = int((_lost_margins(ours, theirs) > tolerance).logical_and(ours.argmax(1) != theirs.argmax(1)).sum())
    max_flipped = int(MAX_SHARE_FLIPPED_IN_INT8 * len(logits)) if precision == "int8" else 0
    failure = None
    if not difference <= tolerance:  # also true for NaN
        on_average = " on average over clips" if precision == "int8" else ""
        failure = f"a {head} logit differs by {difference:.3g}{on_average}, tolerance {tolerance:.3g}"
    elif num_flipped > max_flipped:
        failure = f"the best {head} differs for {num_flipped} of {len(logits)} clips"
    return Parity(len(logits), difference, tolerance, failure)


def _lost_margins(logits: Tensor, expected: Tensor) -> Tensor:
    """Compute by how much (n,) `expected` prefers its best class to that of `logits`."""
    return expected.max(dim=1).values - expected.gather(1, logits.argmax(dim=1, keepdim=True)).squeeze(1)


def _wrong_graph(engine: Engine, reference: Engine, clip: Frames) -> str | None:
    if not isinstance(engine, OpenvinoEngine):
        return None
    spec = reference.network.spec
    view = cut_views(clip, 1, spec.modality, spec.video)[0]
    expected = reference.features([view])[0]
    difference = float((engine.features_in_float32(view) - expected).abs().max() / expected.abs().max())
    if difference <= GRAPH:
        return None
    return f"in float32 a feature of the converted graph differs by {difference:.2g} of the largest, tolerance {GRAPH:g}"
