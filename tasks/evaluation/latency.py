"""Turns measured seconds into the figures that a report prints, and measures memory."""

import re
import resource
import sys
from pathlib import Path

import numpy as np

from tasks.evaluation.scoring import Timings
from tasks.results.evaluation import Latency


def summarise_latency(timings: Timings, num_frames: int) -> Latency:
    """Median and 90th percentile of loading and inference, the original experiment's FPS, and the clips a second of the whole.

    Args:
        timings: what `score_clips` measured.
        num_frames: frames, or fields of flow, that the network sees of one clip. The original's 4.28 FPS is 8 / (0.018 s + 1.850 s).
    """
    loading = np.percentile(timings.loading_seconds, (50, 90))
    inference = np.percentile(timings.inference_seconds, (50, 90))
    return Latency(
        num_clips=len(timings.loading_seconds),
        loading_median_seconds=float(loading[0]),
        loading_p90_seconds=float(loading[1]),
        inference_median_seconds=float(inference[0]),
        inference_p90_seconds=float(inference[1]),
        fps=float(num_frames / (loading[0] + inference[0])),
        clips_per_second=len(timings.loading_seconds) / timings.total_seconds,
    )


def peak_memory_bytes() -> int:
    """The most main memory that this process has held so far; a GPU's own is not part of it."""
    status = Path("/proc/self/status")
    # Linux hands ru_maxrss on from the process that started this one, so that a small step may show what a large runner held.
    if status.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
