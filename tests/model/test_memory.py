import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from tasks.model.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(50):
    torch.zeros(4_000_000).add(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory is left as it is")
def test_pages_are_cleared_once_and_not_for_every_activation():
    faults = {how: int(subprocess.check_output([sys.executable, "-c", COUNT, how])) for how in ("keep", "plain")}
    num_pages_written = 50 * 2 * 16_000_000 // 4096
    assert faults["plain"] - faults["keep"] > num_pages_written / 2
