"""Row `memory`: whether what a step holds at its peak grows with the number of clips."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.bench.material import emptied
from tests.bench.measure import Row, alternate

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = {"heads": "train, heads on kept features", "all": "train, whole network", "evaluate": "evaluate"}


def memory(folder: Path, quick: bool) -> list[Row]:
    """Peak memory of train and evaluate, each in a process of its own, by the number of clips."""
    few, many, repetitions = (10, 40, 1) if quick else (100, 1000, 2)

    def peak_mib(kind: str, num_clips: int) -> float:
        command = [sys.executable, "-m", "tests.bench.memory_job", kind, str(num_clips), str(emptied(folder / "job"))]
        done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return float(done.stdout.split()[-1])

    return [
        Row(
            "memory",
            f"Peak memory of {title}",
            "MiB",
            alternate({f"{number} clips": partial(peak_mib, kind, number) for number in (few, many)}, repetitions),
            f"{few} clips",
            target="does not grow with the number of clips",
            limit="a few hundred bytes of labels and a few kB of logits a clip",
            how="The light backbone test_resnet, in a process of its own: most of it is torch itself.",
        )
        for kind, title in KINDS.items()
    ]
