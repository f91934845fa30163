"""What a long training shows of a second descent."""

from typing import Literal

from tasks.results.record import Record, Target


class KeptScore(Record):
    """Error on val of the heads after one epoch, from 0, with its 95 % interval over source videos; mean loss in nats."""

    epoch: int
    error: float
    interval: tuple[float, float]
    loss: float


class ErrorChange(Record):
    """Change of the error on val from one epoch to a later one, from -1 to 1, on the same clips.

    `interval` is of this difference alone. `p_value` is corrected for all pairs of kept epochs (Holm).
    """

    first_epoch: int
    second_epoch: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Whether the corrected test tells the two epochs apart."""
        return self.p_value < 0.05


class LongTraining(Record):
    """Whether the validation error of a long training falls a second time.

    Attributes:
        target: verb, noun or action: the one that decides.
        scores: the kept epochs, in order.
        fitted_epoch: the first epoch without an error on the training clips; None if there is none, or it is not defined (mixup).
        rise, fall: from the first minimum to the peak, and from there to the second minimum; None if the error never falls after a rise.
        gain: from the first minimum to the second.
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
        """Sum up: both the rise and the fall must be significant."""
        if self.rise is None or self.fall is None:
            return "none seen"
        return "second descent" if self.rise.is_significant and self.fall.is_significant else "cannot tell"
