"""What the measurements ran on."""

import os
import platform
from importlib.metadata import distributions

import psutil

from tasks.learn.hardware import describe

LIBRARIES = ("torch", "pytorch-lightning", "openvino", "av", "numpy", "apache-airflow", "mlflow", "opencv-contrib-python-headless")


def machine() -> dict[str, object]:
    """Processor, cores, memory, versions, and how busy the machine is with other things."""
    hardware, installed = describe("cpu"), {found.name: found.version for found in distributions()}
    flags = next((line for line in _cpuinfo() if line.startswith("flags")), "").split()
    return {
        "cpu": hardware.cpu_name,
        "cores": hardware.num_cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "avx512_bf16": "avx512_bf16" in flags,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: installed[name] for name in LIBRARIES if name in installed},
        "load_average_at_start": list(os.getloadavg()),
    }


def in_words(found: dict[str, object]) -> str:
    """The same as one line for people."""
    versions, load = found["versions"], found["load_average_at_start"]
    assert isinstance(versions, dict) and isinstance(load, list)
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{found['cpu']}, {found['cores']} cores{', AVX-512 BF16' if found['avx512_bf16'] else ''}, {found['memory_gib']} GiB; "
        f"{found['system']}; Python {found['python']}; {listed}; load average {load[0]:.1f} at the start"
    )


def _cpuinfo() -> list[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - what is no file on a disk
            return file.read().splitlines()
    except OSError:
        return []
