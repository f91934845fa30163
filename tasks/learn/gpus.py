"""Count the GPUs, and claim one per step. Works without torch."""

import fcntl
import os
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import IO

from tasks.settings import MachineSettings, load

DRIVER = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"
_claimed: list[IO[str]] = []
"""Lock files, open until this process ends. The kernel then releases the locks, however it ends."""


def num_gpus(driver: Path = DRIVER) -> int:
    """Count the GPUs that NVIDIA's driver, if any, lists and CUDA_VISIBLE_DEVICES does not hide."""
    listed = len(list(driver.iterdir())) if driver.is_dir() else 0
    if VISIBLE not in os.environ:
        return listed
    # As CUDA reads it: the first entry that is none hides all that follow.
    return min(listed, len(list(takewhile(lambda entry: entry.strip() not in ("", "-1"), os.environ[VISIBLE].split(",")))))


def trains_on_gpu() -> bool:
    """Check whether steps that train have a GPU and torch built for GPUs.

    Raises:
        BadConfiguration: the environment's machine settings are malformed.
    """
    machine = load(MachineSettings)
    if machine.device != "auto":
        return machine.device == "cuda"
    if machine.trains_on or not num_gpus():
        return machine.trains_on == "cuda"
    with suppress(ImportError):
        import torch  # only beside a GPU, because it takes seconds

        # Asks the driver's management library: `is_available` would keep `keep_to_one_gpu` from having an effect later.
        return torch.cuda.device_count() > 0
    return True


def keep_to_one_gpu(driver: Path = DRIVER) -> None:
    """Restrict CUDA in this process to the first GPU that no other step claimed.

    Call it before using CUDA. It does nothing with fewer than two GPUs, if CUDA_VISIBLE_DEVICES is set, or if all are claimed. The lock
    files are in the cache folder, which steps share even in separate containers.

    Raises:
        BadConfiguration: the environment's machine settings are malformed.
    """
    if num_gpus(driver) < 2 or VISIBLE in os.environ:
        return
    locks = load(MachineSettings).cache_dir / "gpus"
    locks.mkdir(parents=True, exist_ok=True)
    # CUDA numbers only the GPUs that a container sees; the bus address is the same in all containers.
    for number, gpu in enumerate(sorted(driver.iterdir())):
        file = (locks / f"{gpu.name}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _claimed.append(file)
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ[VISIBLE] = str(number)
        return
