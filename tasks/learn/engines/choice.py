"""Choose the engine by machine, number of clips and option, then run the parity check.

The choice does not depend on the network's weights, so networks of the same shape get the same engine on a machine. Only a failed check
changes it: to OpenVINO in float32, then to PyTorch. The result records the fallback.
"""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

import logging
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeVar

from tasks.errors import BadConfiguration
from tasks.learn.crops import Frames, NumCrops
from tasks.learn.engines.cuda import CudaEngine
from tasks.learn.engines.engine import Engine, prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.parity import NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8, Parity, Trained, check
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.network import Network
from tasks.store.records.evaluation import EngineUsed

T = TypeVar("T")
Wanted = Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"]
Kind = Literal["pytorch", "openvino", "openvino-float32", "openvino-int8", "cuda"]
Device = Literal["cpu", "cuda"]

NUM_CALIBRATION_CLIPS = 8
OPENVINO_FROM_CLIPS = 10
"""Number of clips from which OpenVINO saves time.

It saves more than conversion, compilation and check take (ResNet-50, 10 crops, two cores).
"""

KINDS_IN_FLOAT32: dict[str, Kind] = {"openvino float32": "openvino-float32", "pytorch float32": "pytorch"}
"""The engines that a network may fall back to, by their labels."""

MAX_REASON = 300
"""Maximum characters of a library's error in a result."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Clips to score, and the data for the parity check.

    Attributes:
        device: the configured device of this machine.
        num_clips: total number of clips to score with this kind of engine.
        num_crops: 10 or 1.
        checked: returns `num_checked` of the clips, uint8 (t, h, w, p), for the parity check; not called for PyTorch.
        calibration: returns training clips in the same format; only called for int8.
        trained: the trained classes, to which the check's top-1 comparison is limited; None if all were trained, or if unknown.
    """

    device: Device
    num_clips: int
    num_crops: NumCrops
    checked: Callable[[], Sequence[Frames]]
    calibration: Callable[[], Sequence[Frames]]
    trained: Trained | None = None


def num_checked(wanted: Wanted) -> int:
    """Return the number of clips in this engine's parity check."""
    return NUM_CHECKED_IN_INT8 if wanted == "openvino-int8" else NUM_CHECKED_CLIPS


def choose(wanted: Wanted | Kind, device: Device, num_clips: int) -> Kind:
    """Choose the engine for this machine and this number of clips.

    Raises:
        BadConfiguration: the requested engine is not available here.
    """
    if wanted == "auto":
        if device == "cuda":
            return "cuda"
        return "openvino" if num_clips >= OPENVINO_FROM_CLIPS and _is_installed("openvino") else "pytorch"
    if wanted == "cuda" and device != "cuda":
        raise BadConfiguration(
            "engine cuda: this step runs on the CPU; set RETAKE_DEVICE=auto on a machine with a GPU, or choose engine auto"
        )
    if wanted.startswith("openvino") and not _is_installed("openvino"):
        raise BadConfiguration(f"engine {wanted}: OpenVINO is not installed; pip install openvino, or choose engine auto")
    if wanted == "openvino-int8" and not _is_installed("nncf"):
        raise BadConfiguration("engine openvino-int8: NNCF is not installed; pip install nncf, or choose engine openvino")
    return wanted


def common_label(labels: Set[str]) -> str:
    """Find the label of the engine that can score what these engines scored: the more exact one of OpenVINO's, else PyTorch."""
    if len(labels) == 1:
        return next(iter(labels))
    return "openvino float32" if labels == {"openvino bfloat16", "openvino float32"} else "pytorch float32"


def make_engine(network: Network, wanted: Wanted | Kind, job: Job) -> tuple[Engine, EngineUsed]:
    """Build an engine that passes the parity check, falling back to PyTorch in float32.

    Modifies and keeps `network`.

    Raises:
        BadConfiguration: the requested engine is not available here.
        BadInput: a checked clip does not fit the network.
    """
    kind = "pytorch" if network.spec.sound else choose(wanted, job.device, job.num_clips)
    runs_on_gpu = job.device == "cuda" and kind in ("cuda", "pytorch")
    reference = PytorchEngine(prepare(network, "cuda" if runs_on_gpu else "cpu"), job.num_crops)
    if kind == "pytorch":
        engine, used = _settled(reference, None, None)
        return engine, used.model_copy(update={"has_backbone": network.spec.sound is None})
    checked = job.checked()
    reasons: list[str] = []
    for one in (kind, "openvino-float32") if kind == "openvino" else (kind,):
        try:
            engine = _build(one, reference.network, job)
            parity = check(engine, reference, checked, job.trained)
        # Raised by torch, and by our engine for OpenVINO and NNCF, for unsupported operations, shapes or lack of memory; RetakeError is not
        # among them.
        except (RuntimeError, ImportError, TypeError, NotImplementedError) as error:
            reasons.append(f"{one} cannot run this network: {' '.join(str(error).split())[:MAX_REASON] or type(error).__name__}")
            break
        if not parity.failure:
            return _settled(engine, parity, "; ".join(reasons) or None)
        reasons.append(f"{engine.name} {engine.precision} failed the parity check against PyTorch: {parity.failure}")
        if engine.precision == "float32":
            break
    return _settled(reference, None, "; ".join(reasons))


def spread(items: Sequence[T], num_items: int) -> list[T]:
    """Pick at most `num_items` of `items`, evenly spaced from the first; deterministic."""
    return [items[i * len(items) // num_items] for i in range(num_items)] if len(items) > num_items else list(items)


def _build(kind: Kind, network: Network, job: Job) -> Engine:
    if kind == "cuda":
        return CudaEngine(network, job.num_crops, job.num_clips)
    if kind in ("openvino", "openvino-float32"):
        return OpenvinoEngine(network, job.num_crops, floating=None if kind == "openvino" else "float32")
    if not (calibration := job.calibration()):
        raise BadConfiguration("engine openvino-int8: there are no training clips for calibration; choose engine openvino")
    return OpenvinoEngine(network, job.num_crops, calibration)


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
            "parity check on %d clips: %s logit difference %.3g, tolerance %.3g",
            parity.num_clips,
            "mean" if engine.precision == "int8" else "largest",
            parity.max_difference,
            parity.tolerance,
        )
    return engine, used


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None
