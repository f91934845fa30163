"""Choose the engine, then check its parity with PyTorch in float32.

The choice depends on machine, number of clips and option, not on the network's weights, so that networks of the same shape get the same
engine on a machine. An engine that fails the check is replaced by OpenVINO in float32, then by PyTorch, and one that cannot run the network
by PyTorch at once. The result records the fallback.

A few clips are compared. An engine passes if:

- every logit is within a tolerance of PyTorch's: 0.25 standard deviations of the head's logits in bfloat16 and float16, 0.001 in float32;
- the best verb and noun of every clip, among the trained classes, are PyTorch's, or near ties within the tolerance: untrained heads have many,
  which rounding decides on any machine;
- a converted graph's features in float32 are within a thousandth of the largest of PyTorch's, so that the tolerance for rounding cannot hide a
  wrong graph.

The check shows that an engine works; it does not guarantee the same prediction for every other clip.
"""

# n: clips, t: segments, h, w: pixels, p: 8-bit planes of a snippet, v: classes of a head

import logging
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Literal, TypeVar

import numpy as np
from torch import Tensor

from tasks.errors import BadConfiguration
from tasks.learn.engines.cached_features import CheckedFeatures
from tasks.learn.engines.engine import Engine, prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import CudaEngine, PytorchEngine
from tasks.learn.hardware import Device
from tasks.learn.inputs.crops import Frames, NumCrops, cut_views
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.evaluation import EnginePrecision, EngineUsed

log = logging.getLogger(__name__)

T = TypeVar("T")
Wanted = Literal["auto", "pytorch", "openvino", "cuda"]
Kind = Literal["pytorch", "openvino", "openvino-float32", "cuda"]
OPENVINO_FROM_CLIPS = 10
"""Number of clips from which OpenVINO saves more time than conversion, compilation and check take, with 10 crops on two cores.

In float32 it is 6 for `tf_efficientnet_lite0` and 11 for ResNet-50.
"""

OPENVINO_FROM_VIEWS = 30
"""Number of views from which OpenVINO in float32 saves more time than conversion and check take."""

KINDS_IN_FLOAT32: dict[str, Kind] = {"openvino float32": "openvino-float32", "pytorch float32": "pytorch"}
"""The engines that a network may fall back to, by their labels."""

CANNOT_RUN = (RuntimeError, ImportError, TypeError)
"""Raised by torch, and by our engines, for unsupported operations or shapes. Lack of GPU memory is another error: float32 needs more."""

MAX_REASON = 300
"""Maximum characters of a library's error in a result."""

NUM_CHECKED_CLIPS = 3

SHARE_OF_STD: dict[EnginePrecision, float] = {"bfloat16": 0.25, "float16": 0.25}
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
    return Trained(tuple(sorted({clip.verb_class for clip in trained_on})), tuple(sorted({clip.noun_class for clip in trained_on})))


@dataclass(frozen=True)
class Parity:
    """Result of the check; `failure` is None if it passed.

    `max_difference` and `tolerance` belong to the head that is closest to its limit.
    """

    num_clips: int
    max_difference: float
    tolerance: float
    failure: str | None


def check(
    engine: Engine, reference: Engine, clips: Sequence[Frames], trained: Trained | None = None, kept: CheckedFeatures | None = None
) -> Parity:
    """Compare an engine's logits with those of PyTorch in float32.

    `clips` are test snippets uint8 (t, h, w, p). The best classes are among `trained`, or all. The reference's features are kept in `kept`.
    """
    seen, expected = ([tested.see(clip) for clip in clips] for tested in (engine, reference))
    if kept:
        kept.keep(reference, expected)
    parity = _compare_features(engine, seen, reference, expected, trained)
    return replace(parity, failure=_wrong_graph(engine, reference, clips[0]) or parity.failure)


def _compare_features(
    engine: Engine, seen: Sequence[Tensor], reference: Engine, expected: Sequence[Tensor], trained: Trained | None
) -> Parity:
    return compare_logits([*map(engine.answer, seen)], [*map(reference.answer, expected)], engine.precision, trained)


def compare_logits(logits: Sequence[Logits], expected: Sequence[Logits], precision: EnginePrecision, trained: Trained | None) -> Parity:
    """Compare clips' logits, (v,) and (n,), with PyTorch's in float32, as `check` does."""
    ours, theirs = Logits.stacked(logits), Logits.stacked(expected)
    heads = [
        compare_head("verb", ours.verb, theirs.verb, precision, trained.verbs if trained else None),
        compare_head("noun", ours.noun, theirs.noun, precision, trained.nouns if trained else None),
    ]
    worst = max(heads, key=lambda parity: parity.max_difference / (parity.tolerance or 1))
    return replace(worst, failure=next((parity.failure for parity in heads if parity.failure), None))


def compare_head(head: str, logits: Tensor, expected: Tensor, precision: EnginePrecision, classes: Sequence[int] | None = None) -> Parity:
    """Compare a head's logits (n, v), and top-1 among `classes`, with PyTorch's in float32."""
    difference = float((logits - expected).abs().max())
    tolerance = SHARE_OF_STD[precision] * float(expected.std(dim=1).mean()) if precision in SHARE_OF_STD else ABSOLUTE
    # A head may lack some or all of these classes, if they were added later.
    ids = [class_id for class_id in classes or () if class_id < logits.shape[1]] or list(range(logits.shape[1]))
    ours, theirs = logits[:, ids], expected[:, ids]
    best = ours.argmax(dim=1)
    lost = theirs.max(dim=1).values - theirs.gather(1, best[:, None]).squeeze(1)
    num_flipped = int((lost > tolerance).logical_and(best != theirs.argmax(1)).sum())
    failure = None
    if not difference <= tolerance:  # also true for NaN
        failure = f"a {head} logit differs by {difference:.3g}, tolerance {tolerance:.3g}"
    elif num_flipped:
        failure = f"the best {head} differs for {num_flipped} of {len(logits)} clips"
    return Parity(len(logits), difference, tolerance, failure)


def _wrong_graph(engine: Engine, reference: Engine, clip: Frames) -> str | None:
    if not isinstance(engine, OpenvinoEngine):
        return None
    spec = reference.network.spec
    view = cut_views(clip, 1, spec.modality, spec.video)[0]
    expected = reference.features([view])[0]
    seen = engine.features([view])[0] if engine.precision == "float32" else engine.features_in_float32(view)
    difference = float((seen - expected).abs().max() / expected.abs().max())
    if difference <= GRAPH:
        return None
    return f"in float32 a feature of the converted graph differs by {difference:.2g} of the largest, tolerance {GRAPH:g}"


@dataclass(frozen=True)
class ScoringJob:
    """Clips to score, and the data for the parity check.

    Attributes:
        num_clips: total number of clips to score with this kind of engine.
        checked: returns `NUM_CHECKED_CLIPS` of the clips, uint8 (t, h, w, p), for the parity check; not called for PyTorch.
        trained: the trained classes, for the check's top-1 comparison; None if all were trained, or if unknown.
        kept: cached features; if all are there, no engine has to compute any.
    """

    device: Device
    num_clips: int
    num_crops: NumCrops
    checked: Callable[[], Sequence[Frames]]
    trained: Trained | None = None
    kept: CheckedFeatures | None = None


def choose(wanted: Wanted | Kind, device: Device, num_clips: int) -> Kind:
    """Choose the engine for this machine and this number of clips.

    Raises:
        BadConfiguration: the requested engine is not available here.
    """
    if wanted == "auto":
        if device == "cuda":
            return "cuda"
        return "openvino" if num_clips >= OPENVINO_FROM_CLIPS and find_spec("openvino") else "pytorch"
    if wanted == "cuda" and device != "cuda":
        raise BadConfiguration(
            "engine cuda: this step runs on the CPU; set RETAKE_DEVICE=auto on a machine with a GPU, or choose engine auto"
        )
    if wanted.startswith("openvino") and not find_spec("openvino"):
        raise BadConfiguration(f"engine {wanted}: OpenVINO is not installed; pip install openvino, or choose engine auto")
    return wanted


def common_label(labels: Set[str]) -> str:
    """Return the label of the engine for all networks: the more exact OpenVINO, else PyTorch."""
    if len(labels) == 1:
        return next(iter(labels))
    return "openvino float32" if labels == {"openvino bfloat16", "openvino float32"} else "pytorch float32"


def make_engine(network: Network, wanted: Wanted | Kind, job: ScoringJob) -> tuple[Engine, EngineUsed]:
    """Build an engine that passes the parity check, else PyTorch in float32; modifies `network`.

    Raises:
        BadConfiguration: the requested engine is not available here.
        BadInput: a checked clip does not fit the network.
    """
    kind = "pytorch" if network.spec.sound else choose(wanted, job.device, job.num_clips)
    runs_on_gpu = job.device == "cuda" and kind in ("cuda", "pytorch")
    reference = PytorchEngine(prepare(network, "cuda" if runs_on_gpu else "cpu"), job.num_crops)
    if kind == "pytorch":
        engine, used = _settled(reference, None, None)
        # A network on features of sound has no backbone, so its scores may be compared with those of any engine.
        return engine, used.model_copy(update={"has_backbone": network.spec.sound is None})
    checked = cache(job.checked)
    reasons: list[str] = []
    for candidate in (kind, "openvino-float32") if kind == "openvino" else (kind,):
        try:
            engine = _build(candidate, reference.network, job)
            if features := job.kept and job.kept.read(engine, reference):
                parity = _compare_features(engine, features[0], reference, features[1], job.trained)
            else:
                parity = check(engine, reference, checked(), job.trained, job.kept)
        except CANNOT_RUN as error:
            reasons.append(f"{candidate} cannot run this network: {_reason(error)}")
            break
        if not parity.failure:
            return _settled(engine, parity, "; ".join(reasons) or None)
        reasons.append(f"{engine.name} {engine.precision} failed the parity check against PyTorch: {parity.failure}")
        if engine.precision == "float32":  # "openvino", too, on a machine without bfloat16
            break
    return _settled(reference, None, "; ".join(reasons))


def float32_engine(network: Network, num_views: int) -> Engine:
    """Choose the engine for features in float32 on a CPU, for a network of `prepare`."""
    reference, spec = PytorchEngine(network, 1), network.spec
    if num_views < OPENVINO_FROM_VIEWS or spec.video or not find_spec("openvino"):
        return reference
    pixels = spec.crop_pixels
    # In the place of a clip, for the check of the converted graph.
    noise = np.random.default_rng(0).integers(256, size=(spec.num_segments, pixels, pixels, spec.snippet.num_planes), dtype=np.uint8)
    try:
        engine = OpenvinoEngine(network, 1, floating="float32")
        failure = _wrong_graph(engine, reference, noise)
    except CANNOT_RUN as error:
        failure = _reason(error)
    if failure:
        log.warning("features are computed by PyTorch, at half the speed, since OpenVINO cannot be used: %s", failure)
        return reference
    return engine


def spread(items: Sequence[T], num_items: int) -> list[T]:
    """Pick at most `num_items` of `items`, evenly spaced from the first; deterministic."""
    return [items[i * len(items) // num_items] for i in range(num_items)] if len(items) > num_items else list(items)


def _build(kind: Kind, network: Network, job: ScoringJob) -> Engine:
    if kind == "cuda":
        return CudaEngine(network, job.num_crops, job.num_clips)
    return OpenvinoEngine(network, job.num_crops, floating="float32" if kind == "openvino-float32" else None)


def _settled(engine: Engine, parity: Parity | None, fallback_reason: str | None) -> tuple[Engine, EngineUsed]:
    used = EngineUsed(
        name=engine.name,
        precision=engine.precision,
        description=engine.description,
        num_checked_clips=parity.num_clips if parity else 0,
        max_difference=parity.max_difference if parity else None,
        tolerance=parity.tolerance if parity else None,
        fallback_reason=fallback_reason,
    )
    if fallback_reason:
        log.warning("falling back to %s: %s", used.label, fallback_reason)
    log.info("engine: %s (%s)", used.label, used.description)
    if parity:
        log.info(
            "parity check on %d clips: largest logit difference %.3g, tolerance %.3g",
            parity.num_clips, parity.max_difference, parity.tolerance,
        )  # fmt: skip
    return engine, used


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_REASON] or type(error).__name__
