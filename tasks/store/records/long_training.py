"""Define the results of testing a long training for a second descent."""

from typing import Literal

from tasks.store.records.record import Record, Target


class KeptScore(Record):
    """The heads' error on val after one epoch, counted from 0.

    It has a 95 % interval over source videos; the mean loss is in nats.
    """

    epoch: int
    error: float
    interval: tuple[float, float]
    loss: float


class ErrorChange(Record):
    """Change of the validation error from one epoch to a later one.

    It is between -1 and 1, on the same clips. `interval` is of this difference alone. `p_value` is corrected for all pairs of kept epochs
    (Holm).
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
        """Summarise the tests; a second descent needs a significant rise and fall."""
        if self.rise is None or self.fall is None:
            return "none seen"
        return "second descent" if self.rise.is_significant and self.fall.is_significant else "cannot tell"
