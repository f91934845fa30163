"""Turns measured seconds into the figures that a report prints."""

import numpy as np

from tasks.evaluation.scoring import Timings
from tasks.results.evaluation import Latency


def summarise_latency(timings: Timings, num_frames: int) -> Latency:
    """Median and 90th percentile of loading and inference, and the original experiment's FPS.

    Args:
        timings: seconds of each clip, warm-up left out.
        num_frames: frames that the network sees of one clip: one a segment. The original's 4.28 FPS is 8 / (0.018 s + 1.850 s).
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
    )
