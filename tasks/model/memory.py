"""How this process treats memory that networks give back."""

import ctypes

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
MAX_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next activation, which is as large.

    Otherwise it gives every activation back to the kernel, which has to clear its pages again: half the time of a light backbone on a CPU.
    Peak memory stays the same, but none of it is returned before the process ends. Another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, MAX_INT)
