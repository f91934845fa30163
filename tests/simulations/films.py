"""How precise reported intervals are on whole videos, where the threshold was chosen on single clips of val, each with an action."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from tasks.predict.intervals import intervals, reported
from tasks.predict.probabilities import Distributions, lowest_probability
from tests.simulations.tables import Table, per_cent

PRECISION = 0.8
NUM_CLASSES = 8
NUM_VAL_CLIPS = 100
SKILLS = {0.6: 1.66, 0.75: 2.15}
"""How far the logit of the true class stands out of normal noise, by the accuracy on single clips; softmax of the logits times this is calibrated."""
FOOTAGE = {"actions alone": 1.0, "actions in half": 0.5, "no action": 0.0}
STRETCH_SECONDS = 8
WINDOW_SECONDS, STRIDE_SECONDS = 2, 1
ALIKE = 0.5
"""Share of the noise that all windows of a stretch have in common."""


@dataclass(frozen=True)
class OnFilms:
    """Of all windows and intervals at or above a threshold, the share with the action that covers most of each; and those where nothing happens."""

    windows: float
    intervals: float
    false_alarms_per_minute: float


def film(rng: np.random.Generator, skill: float, share: float, num_stretches: int) -> tuple[np.ndarray, np.ndarray]:
    """The class of each second, -1 for none, and the probabilities (n, c) of the windows; `share` of the stretches show an action."""
    shown = np.where(rng.random(num_stretches) < share, rng.integers(NUM_CLASSES, size=num_stretches), -1)
    seconds = np.repeat(shown, STRETCH_SECONDS)
    common = np.repeat(rng.standard_normal((num_stretches, NUM_CLASSES)), STRETCH_SECONDS, axis=0)
    seen = skill * (seconds[:, None] == np.arange(NUM_CLASSES)) + ALIKE**0.5 * common
    starts = np.arange(0, len(seconds) - WINDOW_SECONDS + 1, STRIDE_SECONDS)
    windows = np.stack([seen[start : start + WINDOW_SECONDS].mean(axis=0) for start in starts])
    noise = (1 - ALIKE) ** 0.5 * rng.standard_normal(windows.shape)
    return seconds, softmax(skill * (windows + noise), axis=1)


def threshold(rng: np.random.Generator, skill: float) -> float | None:
    """The threshold that val's single clips give."""
    true = rng.integers(NUM_CLASSES, size=NUM_VAL_CLIPS)
    likely = softmax(skill * (skill * np.eye(NUM_CLASSES)[true] + rng.standard_normal((NUM_VAL_CLIPS, NUM_CLASSES))), axis=1)
    return lowest_probability(likely.max(axis=1), likely.argmax(axis=1) == true, PRECISION)


def on_films(accuracy: float, share: float, num_draws: int, num_stretches: int = 75) -> OnFilms:
    """Draw a val split and ten minutes of video so often; shares are over all that is reported."""
    rng, skill = np.random.default_rng(1), SKILLS[accuracy]
    windows, is_right, alarms, minutes = [], [], 0, 0.0
    for _ in range(num_draws):
        if (least := threshold(rng, skill)) is None:
            continue
        seconds, likely = film(rng, skill, share, num_stretches)
        starts = np.arange(0.0, len(likely)) * STRIDE_SECONDS
        middles = seconds[np.arange(len(likely)) * STRIDE_SECONDS + WINDOW_SECONDS // 2]
        kept = likely.max(axis=1) >= least
        windows += (likely.argmax(axis=1) == middles)[kept].tolist()
        distributions = Distributions(likely, np.ones((len(likely), 1)))
        for interval in reported(intervals(starts, starts + WINDOW_SECONDS, distributions), least):
            within = seconds[int(interval.start_seconds) : int(np.ceil(interval.stop_seconds))]
            is_right.append(np.mean(within == interval.verb_class) > 0.5)
            alarms += bool(np.mean(within == -1) > 0.5)
        minutes += np.mean(seconds == -1) * len(seconds) / 60
    return OnFilms(float(np.mean(windows)), float(np.mean(is_right)), alarms / minutes if minutes else float("nan"))


def tables(num_draws: int) -> list[Table]:
    rows = []
    for accuracy in SKILLS:
        for name, share in FOOTAGE.items():
            precision = on_films(accuracy, share, max(3, num_draws // 4))
            alarms = "" if share == 1 else f"{precision.false_alarms_per_minute:.1f}"
            rows.append((per_cent(accuracy), name, per_cent(precision.windows), per_cent(precision.intervals), alarms))
    note = (
        f"Calibrated networks of {NUM_CLASSES} classes, whose threshold shows a precision of {per_cent(PRECISION)} on {NUM_VAL_CLIPS} single val clips that "
        f"all show an action; videos of stretches of {STRETCH_SECONDS} s, windows of {WINDOW_SECONDS} s every {STRIDE_SECONDS} s. An interval is right if its "
        "action covers more than half of it, and a false alarm if nothing happens in more than half. False alarms are a minute in which nothing happens."
    )
    header = ["top-1", "footage", "windows: precision", "intervals: precision", "false alarms a minute"]
    return [Table("The threshold on whole videos", note, header, rows)]
