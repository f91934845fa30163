"""Summarise measured times for the report, and measure memory."""

import re
import resource
import sys
from pathlib import Path

import numpy as np

from tasks.judge.statistics.scoring import Timings
from tasks.store.records.evaluation import Latency


def summarise_latency(timings: Timings, num_frames: int) -> Latency:
    """Compute median and 90th percentile latency, the original experiment's FPS, and clips per second.

    Args:
        timings: measured by `score_clips`.
        num_frames: frames, or flow fields, that the network sees per clip. The original's 4.28 FPS is 8 / (0.018 s + 1.850 s).
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
    """Return this process's peak main memory so far, without GPU memory."""
    status = Path("/proc/self/status")
    # On Linux ru_maxrss is inherited from the parent, so a small step could report the memory of a large runner.
    if status.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
