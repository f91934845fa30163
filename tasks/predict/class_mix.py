"""Compare the actions that are predicted in new films with the labels of the training clips."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.predict.names import Names
from tasks.wording import count, percent


@dataclass(frozen=True)
class ClassMix:
    """The predicted actions of `num_clips` new clips beside the labels of the training clips.

    `distance` is the total variation between the two, from 0 to 1, and `distance_of_test` that of `num_clips_of_test` clips of test films; None
    without such clips. `action` has the largest excess: it is predicted in `share` of the new clips, and has `trained_share` of the labels.
    """

    distance: float
    num_clips: int
    distance_of_test: float | None
    num_clips_of_test: int
    action: int
    share: float
    trained_share: float


def class_mix(new: Sequence[int], of_test: Sequence[int], trained: Mapping[int, int]) -> ClassMix:
    """Measure the total variation between predicted actions and labels.

    Args:
        new: the predicted action ids of the clips of new films, one at least.
        of_test: the same of films of test.
        trained: number of training clips by the action of their label.
    """
    shares, labels = _shares(Counter(new)), _shares(trained)
    most = max(sorted(shares), key=lambda action: shares[action] - labels.get(action, 0))
    return ClassMix(
        distance=_total_variation(shares, labels),
        num_clips=len(new),
        distance_of_test=_total_variation(_shares(Counter(of_test)), labels) if of_test else None,
        num_clips_of_test=len(of_test),
        action=most,
        share=shares[most],
        trained_share=labels.get(most, 0),
    )


def in_words(mix: ClassMix, names: Names) -> str:
    """Say how the predicted actions differ from the labels of the training clips."""
    if mix.distance_of_test is None:
        of_test = "; there are no clips of test to compare with"
    else:
        of_test = f", and {percent(mix.distance_of_test)} in {count(mix.num_clips_of_test, 'clip')} of test"
    return (
        f"Predicted {names.targets[-1]}s differ from the labels of the training clips by a total variation of {percent(mix.distance)} in "
        f"{count(mix.num_clips, 'new clip')}{of_test}. Fewer clips differ more by chance. The largest excess: {names.name('action', mix.action)}, "
        f"predicted in {percent(mix.share)} of the new clips, has {percent(mix.trained_share)} of the labels."
    )


def _shares(counts: Mapping[int, int]) -> dict[int, float]:
    total = sum(counts.values())
    return {action: number / total for action, number in counts.items()}


def _total_variation(left: Mapping[int, float], right: Mapping[int, float]) -> float:
    return sum(abs(left.get(action, 0) - right.get(action, 0)) for action in left.keys() | right.keys()) / 2
