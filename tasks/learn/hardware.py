"""Describe the machine that computes a result, and set up its libraries."""

import contextlib
import ctypes
import gc
import logging
import os
import platform
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

from tasks.errors import BadConfiguration

WantedDevice = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]
LIBRARIES = ("torch", "torchvision", "timm", "pytorch-lightning", "torchmetrics", "numpy")
# A registered model reads no setting of Retake.
WITHOUT_GPU = "set RETAKE_DEVICE=cpu for a step, or hide this GPU by CUDA_VISIBLE_DEVICES"
ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)")
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
MAX_INT = 2**31 - 1


@dataclass(frozen=True)
class Hardware:
    """Device, processor, memory and library versions."""

    device: str
    device_name: str
    device_memory_bytes: int
    cpu_name: str
    num_cores: int
    memory_bytes: int
    python: str
    versions: dict[str, str]

    def flat(self) -> dict[str, str | int]:
        """Flatten for results and MLflow tags; a library's version is `version.<library>`."""
        values = asdict(self)
        versions: dict[str, str] = values.pop("versions")
        return {**values, **{f"version.{library}": version for library, version in versions.items()}}


def choose_device(wanted: WantedDevice) -> Device:
    """Choose the device; "auto" takes the GPU if there is one.

    Raises:
        BadConfiguration: "cuda" is required and there is no GPU, or torch has no code for it.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise BadConfiguration("device cuda: torch finds no GPU; install NVIDIA's driver, or set RETAKE_DEVICE=auto")
    _require_code(torch.cuda.get_arch_list())
    return "cuda"


def _require_code(built_for: list[str]) -> None:
    """Check that torch, built for these architectures, has code for the first GPU.

    Raises:
        BadConfiguration: it has none; nothing would run there.
    """
    # Machine code runs on GPUs of the same major version; the intermediate code of a compute_… on all later ones, too.
    built = [(match[1], (int(match[2]), int(match[3]))) for match in map(ARCHITECTURE.match, built_for) if match]
    if not built:
        return
    own = torch.cuda.get_device_capability()
    if not any(version <= own and (kind == "compute" or version[0] == own[0]) for kind, version in built):
        raise BadConfiguration(
            f"torch {torch.__version__} has no code for {torch.cuda.get_device_name()}, whose architecture is sm_{own[0]}{own[1]}; install a "
            f"build of torch that has, {WITHOUT_GPU}"
        )


def describe(device: Device) -> Hardware:
    """Describe `device` on this machine."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    cpu_name = next(named, platform.processor() or platform.machine())
    gpu = torch.cuda.get_device_properties(0) if device == "cuda" else None
    return Hardware(
        device=device,
        device_name=gpu.name if gpu else cpu_name,
        device_memory_bytes=gpu.total_memory if gpu else memory_bytes,
        cpu_name=cpu_name,
        num_cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory_bytes,
        python=platform.python_version(),
        versions={library: version(library) for library in LIBRARIES},
    )


@contextlib.contextmanager
def within_gpu_memory(computed: str, remedy: str = f"end what else uses it, {WITHOUT_GPU}") -> Iterator[None]:
    """Raise BadConfiguration where `computed`, in the plural, does not fit into GPU memory."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise BadConfiguration(f"{computed} do not fit into the GPU's memory; {remedy}") from None


def keep_freed_memory() -> None:
    """Let glibc reuse freed memory for the next activation, until the process ends.

    By default it returns every activation to the kernel, which clears the pages again: half the run time of a light backbone on a CPU. Peak
    memory stays the same. Does nothing with other C libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, MAX_INT)


def return_freed_memory() -> None:
    """Return unused memory to the kernel in spite of `keep_freed_memory`, and measure its peak anew.

    Does nothing that the C library, the kernel or its permissions do not allow.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


_SILENCING = threading.RLock()
"""Held while log and stdout are changed, which all threads share."""


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep OpenVINO, NNCF and ONNX from sending statistics, printing to stdout or changing the log.

    Conversion sets the root logger to ERROR; NNCF replaces the logger class and logs to stdout, which is reserved for a step's result. ONNX logs
    each weight that it has twice, and nodes that it leaves as they are.
    """
    with _SILENCING:
        # OpenVINO and NNCF send usage statistics by this package when imported; None makes Python treat it as not importable.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        root = logging.getLogger()
        level, filters, handlers = root.level, list(root.filters), list(root.handlers)
        logger_class = logging.getLoggerClass()
        for chatty in ("onnx_ir", "onnxscript"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        try:
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                # Shapes are fixed, so values that tracing treats as constants are constant; the parity check would catch an error.
                warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
                # OpenVINO still converts through an API that torch has deprecated.
                warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
                yield
        finally:
            root.setLevel(level)
            root.filters[:], root.handlers[:] = filters, handlers
            logging.setLoggerClass(logger_class)
