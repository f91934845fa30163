"""Which of this machine's GPUs a step keeps to, so that steps which run side by side take different ones. Needs no torch."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

DRIVER = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"

_claimed: list[IO[str]] = []
"""Open for as long as this process lives; then the kernel frees their locks, whatever ended it."""


def num_gpus(driver: Path = DRIVER) -> int:
    """How many GPUs NVIDIA's driver shows; 0 where there is no driver."""
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def keep_to_one_gpu(driver: Path = DRIVER, locks: Path | None = None) -> None:
    """Make the first GPU that no other step holds the only one that CUDA shows to this process. Call it before the first use of CUDA.

    Nothing changes where there are fewer than two, where somebody chose already, or where all are held.
    """
    if num_gpus(driver) < 2 or VISIBLE in os.environ:
        return
    for number in range(num_gpus(driver)):
        file = ((locks or Path(tempfile.gettempdir())) / f"retake-gpu-{number}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _claimed.append(file)
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ[VISIBLE] = str(number)
        return
