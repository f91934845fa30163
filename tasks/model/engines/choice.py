"""Which engine scores a network: by the machine, the number of clips and what was asked for, and only after the parity check.

None of this looks at the network's weights before the check, so that all networks of one shape that one plan scores on one machine get the
same engine; the check alone can send one of them on to OpenVINO in float32, and back to PyTorch, which the result then says.
"""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeVar

from tasks.errors import BadConfiguration
from tasks.model.crops import Frames, NumCrops
from tasks.model.engines.cuda import CudaEngine
from tasks.model.engines.engine import Engine, prepare
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.engines.parity import NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8, Parity, Trained, check
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.network import Network
from tasks.results.evaluation import EngineUsed

T = TypeVar("T")
Wanted = Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"]
Kind = Literal["pytorch", "openvino", "openvino-float32", "openvino-int8", "cuda"]
Device = Literal["cpu", "cuda"]

NUM_CALIBRATION_CLIPS = 8
OPENVINO_FROM_CLIPS = 10
"""From so many clips on, what OpenVINO gains is more than converting, compiling and checking take (ResNet-50, 10 crops, two cores)."""

MAX_REASON = 300
"""Characters of a library's error that a result repeats."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is to be scored.

    Attributes:
        device: where networks run on this machine, by its settings.
        num_clips: of all that are scored by engines of the same kind.
        num_crops: 10 or 1.
        checked: gives `num_checked` of them, uint8 (t, h, w, p), for the parity check; not called for PyTorch.
        calibration: gives training clips likewise; called for int8 alone.
        trained: the classes that were trained, among which the check looks for the best; None where all were, or it is not known.
    """

    device: Device
    num_clips: int
    num_crops: NumCrops
    checked: Callable[[], Sequence[Frames]]
    calibration: Callable[[], Sequence[Frames]]
    trained: Trained | None = None


def num_checked(wanted: Wanted) -> int:
    """How many clips the parity check of this engine takes."""
    return NUM_CHECKED_IN_INT8 if wanted == "openvino-int8" else NUM_CHECKED_CLIPS


def choose(wanted: Wanted | Kind, device: Device, num_clips: int) -> Kind:
    """The engine for this machine and so many clips.

    Raises:
        BadConfiguration: the one asked for by name is not available here.
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


def make_engine(network: Network, wanted: Wanted | Kind, job: Job) -> tuple[Engine, EngineUsed]:
    """An engine that has passed the parity check, or PyTorch in float32; changes `network`, which the engine keeps.

    Raises:
        BadConfiguration: the one asked for by name is not available here.
        BadInput: a checked clip does not fit the network.
    """
    kind = choose(wanted, job.device, job.num_clips)
    runs_on_gpu = job.device == "cuda" and kind in ("cuda", "pytorch")
    reference = PytorchEngine(prepare(network, "cuda" if runs_on_gpu else "cpu"), job.num_crops)
    if kind == "pytorch":
        return _settled(reference, None, None)
    checked = job.checked()
    reasons: list[str] = []
    for one in (kind, "openvino-float32") if kind == "openvino" else (kind,):
        try:
            engine = _build(one, reference.network, job)
            parity = check(engine, reference, checked, job.trained)
        # What torch, and for OpenVINO and NNCF our engine, raise for an operation, a shape or memory that they cannot do; ours are of other
        # classes.
        except (RuntimeError, ImportError, TypeError, NotImplementedError) as error:
            reasons.append(f"{one} cannot run this network: {' '.join(str(error).split())[:MAX_REASON] or type(error).__name__}")
            break
        if not parity.failure:
            return _settled(engine, parity, "; ".join(reasons) or None)
        reasons.append(f"{engine.name} {engine.precision} did not pass the check beside PyTorch: {parity.failure}")
        if engine.precision == "float32":
            break
    return _settled(reference, None, "; ".join(reasons))


def spread(items: Sequence[T], num_items: int) -> list[T]:
    """At most `num_items` of `items`, evenly spread from the first on: the same ones every time."""
    return [items[i * len(items) // num_items] for i in range(num_items)] if len(items) > num_items else list(items)


def _build(kind: Kind, network: Network, job: Job) -> Engine:
    if kind == "cuda":
        return CudaEngine(network, job.num_crops, job.num_clips)
    if kind in ("openvino", "openvino-float32"):
        return OpenvinoEngine(network, job.num_crops, floating=None if kind == "openvino" else "float32")
    if not (calibration := job.calibration()):
        raise BadConfiguration("engine openvino-int8: there are no training clips to calibrate it on; choose engine openvino")
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
        log.warning("scoring by %s instead: %s", used.label, fallback_reason)
    log.info("engine: %s (%s)", used.label, used.description)
    if parity:
        log.info(
            "checked on %d clips: a logit differs by %.3g %s, %.3g is allowed",
            parity.num_clips,
            parity.max_difference,
            "in the mean over clips" if engine.precision == "int8" else "at most",
            parity.tolerance,
        )
    return engine, used


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None
