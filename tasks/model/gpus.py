"""Which of this machine's GPUs a step keeps to, so that steps which run side by side take different ones. Needs no torch."""

import fcntl
import os
from pathlib import Path
from typing import IO

from tasks.settings import MachineSettings, load

DRIVER = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"

_claimed: list[IO[str]] = []
"""Open for as long as this process lives; then the kernel frees their locks, whatever ended it."""


def num_gpus(driver: Path = DRIVER) -> int:
    """How many GPUs NVIDIA's driver shows; 0 where there is no driver."""
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def keep_to_one_gpu(driver: Path = DRIVER) -> None:
    """Make the first GPU that no other step holds the only one that CUDA shows to this process. Call it before the first use of CUDA.

    Nothing changes where there are fewer than two, where somebody chose already, or where all are held. Locks lie in the cache, which steps
    share even where each has a container of its own.

    Raises:
        BadConfiguration: the environment's machine settings are malformed.
    """
    if num_gpus(driver) < 2 or VISIBLE in os.environ:
        return
    locks = load(MachineSettings).cache_dir.expanduser() / "gpus"
    locks.mkdir(parents=True, exist_ok=True)
    # In a container that sees some of a machine's GPUs, CUDA counts those alone; the bus address is the same for all.
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
