"""How large the calibration error of a calibrated network is, and how the check of int8 depends on the clips that it draws."""

import numpy as np
import torch

from tasks.judge.statistics.calibration import error_by_chance, expected_error, reliability
from tasks.learn.engines.choice import NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8, compare_head
from tests.simulations.tables import Table, per_cent

NUM_TRAINED, NUM_CLASSES = 8, 125


def calibrated_errors(num_clips: int, num_draws: int) -> tuple[float, float]:
    """The mean calibration error of a perfectly calibrated network, and what stands beside it."""
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(0.2, 1, num_clips) for _ in range(num_draws)]
    errors = [expected_error(reliability(confidences, rng.random(num_clips) < confidences)) for confidences in drawn]
    return float(np.mean(errors)), float(np.mean([error_by_chance(confidences) for confidences in drawn]))


def trusted(num_clips: int, share_flipped: float, num_draws: int) -> float:
    """How often int8 passes the check on clips of which such a share gets another best class."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(num_draws):
        expected = torch.zeros(num_clips, NUM_CLASSES)
        expected[:, 0] = 6.0
        logits = expected.clone()
        flipped = torch.from_numpy(rng.random(num_clips) < share_flipped)
        logits[flipped, 0], logits[flipped, 1] = 5.7, 6.1
        expected[flipped, 1] = 5.5
        passed += compare_head("verb", logits, expected, "int8", range(NUM_TRAINED)).failure is None
    return passed / num_draws


def tables(num_draws: int) -> list[Table]:
    errors = [(str(clips), *map(per_cent, calibrated_errors(clips, max(20, num_draws // 20)))) for clips in (23, 100, 1000)]
    shares = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3)
    checks = [
        (per_cent(one), *(per_cent(trusted(clips, one, num_draws)) for clips in (NUM_CHECKED_CLIPS, NUM_CHECKED_IN_INT8))) for one in shares
    ]
    return [
        Table(
            "The calibration error of a calibrated network",
            "Confidences are drawn evenly between 0.2 and 1, and each is true. `metrics.json` has the last column beside each error.",
            ["clips", "mean ECE", "said to be by chance"],
            errors,
        ),
        Table(
            "int8 passes its check",
            "By the share of all clips whose best class int8 changes beyond a near tie.",
            ["clips changed", f"on {NUM_CHECKED_CLIPS} clips", f"on {NUM_CHECKED_IN_INT8} clips"],
            checks,
        ),
    ]
