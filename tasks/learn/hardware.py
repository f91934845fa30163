"""Describe the machine that computes a result."""

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

from tasks.errors import BadConfiguration

LIBRARIES = ("torch", "torchvision", "timm", "pytorch-lightning", "torchmetrics", "numpy")


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
        """Flatten to names and values for results and MLflow tags; a library's version is `version.<library>`."""
        values = asdict(self)
        versions: dict[str, str] = values.pop("versions")
        return {**values, **{f"version.{library}": version for library, version in versions.items()}}


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """Choose the device; "auto" takes the GPU if there is one.

    Raises:
        BadConfiguration: "cuda" is required and there is no GPU.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise BadConfiguration("device cuda: torch finds no GPU; install NVIDIA's driver, or set RETAKE_DEVICE=auto")
    return "cuda"


def describe(device: Literal["cpu", "cuda"]) -> Hardware:
    """Describe `device` on this machine."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu_name = _cpu_name()
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


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine()
    )
