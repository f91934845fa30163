"""Define the results of the learning curve and of long trainings."""

from typing import Literal

from tasks.store.records.record import Record, Target


class CurveTraining(Record):
    """One training on a share of the training clips, with `right` as in `TrialScore`."""

    num_clips: int
    num_sources: int
    draw: int
    num_epochs: int
    best_epoch: int
    seconds: float
    right: dict[Target, str]


class CurveTrainings(Record):
    """`runs/<run key>/learning_curve/trainings.json`: the trainings of a learning curve, by number of clips and draw.

    `recipe` is `own` if the run trains heads alone, else `light`: heads on the frozen backbone of its start weights. `num_epochs` are those
    of a training on all `num_clips` clips, of `num_asked_epochs` in the recipe. Shares are trained for as many `epochs`, and answer by
    their last one; records of older versions have as many `steps`, or answers of the epoch that is `best` on these clips.
    """

    recipe: Literal["own", "light"]
    num_clips: int
    num_sources: int
    num_asked_epochs: int
    num_epochs: int
    equal: Literal["epochs", "steps"] = "steps"
    scored_epoch: Literal["last", "best"] = "best"
    trainings: tuple[CurveTraining, ...]


class CurvePoint(Record):
    """Mean top-1 on val of all draws of this number of clips.

    The interval is at 95 %, over source videos of val.
    """

    num_clips: int
    draws: tuple[float, ...]
    top1: float
    interval: tuple[float, float]


class CurveFit(Record):
    """Top-1 of the fitted power law at a number of clips.

    Beyond the training clips, `interval` is this top-1 plus the 95 % interval of the gain, without the spread of the top-1 over val videos.
    """

    num_clips: int
    top1: float
    interval: tuple[float, float] | None


class CurveGain(Record):
    """Gain in top-1 from `times` as many clips, with its 95 % interval."""

    times: int
    num_clips: int
    gain: float
    interval: tuple[float, float]


class TargetCurve(Record):
    """Learning curve of one target.

    `majority_top1` is always predicting the most frequent class of val. If the data cannot tell, `unknown` says why in a sentence, and
    `fit` and `gains` are empty. `new_classes` is how many classes half of the training clips lack; None in older records.
    """

    target: Target
    majority_top1: float
    points: tuple[CurvePoint, ...]
    fit: tuple[CurveFit, ...]
    gains: tuple[CurveGain, ...]
    unknown: str | None
    new_classes: float | None = None


class LearningCurveResult(Record):
    """The learning curve of a training, whose `CurveTrainings` explain recipe and epochs.

    The last of `curves` is of the target that decides. `seconds` are of all trainings.
    """

    recipe: Literal["own", "light"]
    num_clips: int
    num_sources: int
    num_val_clips: int
    num_val_sources: int
    num_draws: int
    num_asked_epochs: int
    num_epochs: int
    equal: Literal["epochs", "steps"] = "steps"
    curves: tuple[TargetCurve, ...]
    seconds: float
    trainings_uri: str
    mlflow_run_url: str


class NoLearningCurve(Record):
    """Why the step `learning_curve` had nothing to do, as a part of a sentence."""

    reason: str


class KeptScore(Record):
    """The heads' error on val after one epoch, counted from 0, and loss in nats.

    The interval is at 95 %, over source videos.
    """

    epoch: int
    error: float
    interval: tuple[float, float]
    loss: float


class ErrorChange(Record):
    """Change of the validation error between two epochs, on the same clips.

    It is between -1 and 1, later minus earlier. `interval` is of this difference alone. `p_value` is corrected for all pairs of kept epochs (Holm).
    """

    first_epoch: int
    second_epoch: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Check whether the corrected test distinguishes the two epochs."""
        return self.p_value < 0.05


class LongTraining(Record):
    """Result of testing whether a long training has a second descent.

    `fitted_epoch` is the first without an error on the training clips, if any. `rise` goes from the first minimum to the peak, `fall` from
    there to the second minimum, and `gain` from the first minimum to the second; they are None if the error never falls after a rise.
    """

    target: Target
    num_clips: int
    num_sources: int
    scores: tuple[KeptScore, ...]
    fitted_epoch: int | None
    rise: ErrorChange | None
    fall: ErrorChange | None
    gain: ErrorChange | None

    @property
    def outcome(self) -> Literal["second descent", "none seen", "cannot tell"]:
        """Summarise the tests; a second descent needs a significant rise and fall."""
        if self.rise is None or self.fall is None:
            return "none seen"
        return "second descent" if self.rise.is_significant and self.fall.is_significant else "cannot tell"
