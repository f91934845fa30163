"""Load a written model without Retake, and time it in its own process.

`python -I _timed.py MODEL CLIP.npz TIME`, with the time of its start, prints JSON: what the costs of a package record, by the same names.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]

NUM_TIMED, NUM_BATCHES, BATCH_SIZE = 20, 5, 4


def _loaded(path: Path) -> Callable[[Arrays], object]:
    """Load a network from its .onnx by ONNX Runtime, or from its .xml by OpenVINO."""
    if path.suffix == ".onnx":
        session = import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(None, batch)
    model: Callable[[Arrays], object] = import_module("openvino").Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model


def _seconds(answer: Callable[[Arrays], object], batch: Arrays) -> float:
    started = time.perf_counter()
    answer(batch)
    return time.perf_counter() - started


def _main(model: Path, clip: Path, started: float) -> None:
    with np.load(clip) as arrays:
        single, batch = ({name: np.repeat(array[None], number, axis=0) for name, array in arrays.items()} for number in (1, BATCH_SIZE))
    answer = _loaded(model)
    answer(single)
    start_seconds = time.time() - started
    of_clips = [_seconds(answer, single) for _ in range(NUM_TIMED)]
    answer(batch)
    of_batches = [_seconds(answer, batch) for _ in range(NUM_BATCHES)]
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    costs = {
        "num_timed": NUM_TIMED,
        "batch_size": BATCH_SIZE,
        "median_seconds": float(np.median(of_clips)),
        "p90_seconds": float(np.percentile(of_clips, 90)),
        "clips_per_second": BATCH_SIZE / float(np.median(of_batches)),
        "peak_memory_bytes": int(peak.split()[1]) * 1024,
        "start_seconds": start_seconds,
    }
    sys.stdout.write(json.dumps(costs))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
