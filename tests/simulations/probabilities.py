"""How large the calibration error of a calibrated network is."""

import numpy as np

from tasks.judge.statistics.calibration import error_by_chance, expected_error, reliability
from tests.simulations.tables import Table, per_cent


def calibrated_errors(num_clips: int, num_draws: int) -> tuple[float, float]:
    """The mean calibration error of a perfectly calibrated network, and what stands beside it."""
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(0.2, 1, num_clips) for _ in range(num_draws)]
    errors = [expected_error(reliability(confidences, rng.random(num_clips) < confidences)) for confidences in drawn]
    return float(np.mean(errors)), float(np.mean([error_by_chance(confidences) for confidences in drawn]))


def tables(num_draws: int) -> list[Table]:
    errors = [(str(clips), *map(per_cent, calibrated_errors(clips, max(20, num_draws // 20)))) for clips in (23, 100, 1000)]
    return [
        Table(
            "The calibration error of a calibrated network",
            "Confidences are drawn evenly between 0.2 and 1, and each is true. `metrics.json` has the last column beside each error.",
            ["clips", "mean ECE", "said to be by chance"],
            errors,
        ),
    ]
