"""Find where a network errs: between classes, on the worst clips, in groups.

Groups are source videos, and the values of columns of annotation files.

Legend: n clips, r true classes, c predicted classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact
from scipy.stats import t as student

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import holm, top1_interval
from tasks.store.records.dataset import DatasetClip, Vocabulary
from tasks.store.records.metrics import Cell, ConfusionCounts, GroupScore, Mistake
from tasks.store.records.record import ModelRole

MAX_CLASSES = 30
MAX_LISTED = 12
"""Clips of a cell that are named."""
NUM_MISTAKES = 8
SOURCE_VIDEO = "source video"
MIN_CLIPS, MIN_SOURCES = 5, 2
"""A group with fewer, or with fewer beside it, is too small to tell; a source video needs no others like it."""
MAX_VALUES = 30
"""A column with more values is no column of groups, such as one of remarks."""

Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Confusion:
    """Number of clips per true and predicted class.

    Attributes:
        rows: (r,) names of the true classes, most frequent first.
        columns: (c,) the same names in the same order, then the classes that are only predicted.
        counts: (r, c) clips.
        places: (n, 2) row and column of each clip.
        wrong: the cells of wrong answers with their first clips.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: NDArray[np.int64]
    places: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    wrong: tuple[Cell, ...] = ()

    @property
    def support(self) -> NDArray[np.int64]:
        """Return the (r,) clips per row."""
        total: NDArray[np.int64] = self.counts.sum(axis=1)
        return total


def confusion_of(answers: Answers, max_classes: int = MAX_CLASSES) -> Confusion:
    """Count true against predicted classes.

    Only classes that are true for some clip have a row. If there are more than `max_classes`, the most frequent are kept, by support and
    then by number of predictions. The other n are summed in a last row and column `n others`, right answers included.
    """
    true_ids, support = np.unique(answers.true, return_counts=True)
    by_support = sorted(zip(true_ids.tolist(), (-support).tolist(), strict=True), key=lambda pair: (pair[1], answers.names[pair[0]]))
    rows = [class_id for class_id, _ in by_support]
    other_ids, predicted = np.unique(answers.predicted[~np.isin(answers.predicted, true_ids)], return_counts=True)
    by_predicted = sorted(zip(other_ids.tolist(), (-predicted).tolist(), strict=True), key=lambda pair: (pair[1], answers.names[pair[0]]))
    columns = rows + [class_id for class_id, _ in by_predicted]
    row_of, column_of = _positions(rows, max_classes), _positions(columns, max_classes)
    counts = np.zeros((max(row_of.values()) + 1, max(column_of.values()) + 1), np.int64)
    places = np.array(
        [(row_of[true], column_of[named]) for true, named in zip(answers.true.tolist(), answers.predicted.tolist(), strict=True)]
    )
    np.add.at(counts, tuple(places.T), 1)
    return Confusion(_shown(rows, answers, max_classes), _shown(columns, answers, max_classes), counts, places)


def confusions(scored: Mapping[ModelRole, ScoredClips], vocabulary: Vocabulary) -> tuple[ConfusionCounts, ...]:
    """Build the matrix of every network and target, as stored in `metrics.json`."""
    matrices = []
    for model, clips in scored.items():
        answers = answers_of(clips, vocabulary)
        for target in vocabulary.targets:
            confusion = confusion_of(answers[target])
            matrices.append(
                ConfusionCounts(
                    model=model,
                    target=target,
                    rows=confusion.rows,
                    columns=confusion.columns,
                    counts=tuple(map(tuple, confusion.counts.tolist())),
                    wrong=wrong_cells(confusion, answers[target], clips.losses, clips.uids),
                )
            )
    return tuple(matrices)


def wrong_cells(confusion: Confusion, answers: Answers, losses: NDArray[np.floating], uids: Sequence[str]) -> tuple[Cell, ...]:
    """List the wrong clips of each cell, the largest loss first."""
    of_cell: dict[tuple[int, int], list[str]] = {}
    for i in sorted(np.flatnonzero(~answers.right).tolist(), key=lambda i: (-losses[i], uids[i])):
        row, column = confusion.places[i].tolist()
        of_cell.setdefault((row, column), []).append(uids[i])
    return tuple(
        Cell(row=row, column=column, num_clips=len(of), uids=tuple(of[:MAX_LISTED])) for (row, column), of in sorted(of_cell.items())
    )


def _positions(ids: list[int], max_classes: int) -> dict[int, int]:
    return {class_id: min(i, max_classes) for i, class_id in enumerate(ids)}


def _shown(ids: list[int], answers: Answers, max_classes: int) -> tuple[str, ...]:
    names = tuple(answers.names[class_id] for class_id in ids[:max_classes])
    rest = len(ids) - max_classes
    return (*names, f"{rest} others") if rest > 0 else names


@dataclass(frozen=True)
class Misnamed:
    """A wrong top-1 prediction.

    Attributes:
        clip: index into the scored clips.
        target: "verb" if the verb is wrong, else "noun".
        class_id, class_name: the predicted class.
    """

    clip: int
    target: Literal["verb", "noun"]
    class_id: int
    class_name: str


def worst_wrong(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[int]:
    """Return indices of the worst clips with a wrong action, by falling loss, then uid."""
    wrong = np.flatnonzero(~answers_of(clips, vocabulary)["action"].right).tolist()
    return sorted(wrong, key=lambda i: (-clips.losses[i], clips.uids[i]))[:num_clips]


def worst_misnamed(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[Misnamed]:
    """Return the wrong prediction for each clip of `worst_wrong`, in that order."""
    answers = answers_of(clips, vocabulary)
    misnamed = []
    for i in worst_wrong(clips, vocabulary, num_clips):
        target: Literal["verb", "noun"] = "noun" if answers["verb"].right[i] else "verb"
        class_id = int(answers[target].predicted[i])
        misnamed.append(Misnamed(i, target, class_id, answers[target].names[class_id]))
    return misnamed


def worst_mistakes(
    ours: ScoredClips, theirs: ScoredClips, clips: Sequence[DatasetClip], vocabulary: Vocabulary, num: int = NUM_MISTAKES
) -> tuple[Mistake, ...]:
    """Return the clips whose action the new network gets wrong, the largest loss first.

    Args:
        clips: the dataset's clips, including these.

    Raises:
        BadInput: the two networks were scored on different clips, or a clip is not in this dataset.
    """
    clip_of = {clip.uid: clip for clip in clips}
    if ours.uids != theirs.uids or not clip_of.keys() >= set(ours.uids):
        raise BadInput("the networks were not scored on the same clips of this dataset; run `evaluate` again for both")
    our_answers, their_answers = answers_of(ours, vocabulary), answers_of(theirs, vocabulary)

    def named(i: int) -> dict[str, str]:
        return {
            f"{whose}_{target}": answers[target].names[int(answers[target].predicted[i])]
            for whose, answers in (("predicted", our_answers), ("opponent", their_answers))
            for target in ("verb", "noun")
        }

    return tuple(
        Mistake(
            uid=ours.uids[i],
            clip_uri=clip_of[ours.uids[i]].uri,
            source=ours.sources[i],
            true_verb=clip_of[ours.uids[i]].verb,
            true_noun=clip_of[ours.uids[i]].noun,
            **named(i),
            loss=float(ours.losses[i]),
        )
        for i in worst_wrong(ours, vocabulary, num)
    )


def group_scores(right: Right, sources: Sequence[str], columns: Mapping[str, Sequence[str | None]]) -> tuple[GroupScore, ...]:
    """Score each group of each column, the worst of a column first.

    Args:
        right: (n,) whether each clip's answer is right.
        sources: (n,) the source video of each clip.
        columns: by name, `SOURCE_VIDEO` among them, the (n,) values; None where a clip has none.
    """
    groups = [
        _score(column, name, right, np.array(sources), np.array([value or "" for value in values]))
        for column, values in columns.items()
        for name in sorted({value for value in values if value})
        if column == SOURCE_VIDEO or 2 <= len({value for value in values if value}) <= MAX_VALUES
    ]
    # Columns are corrected apart, so that one that nobody asked for, such as the day, hides no other.
    corrected = [group for column in columns for group in _corrected([group for group in groups if group.column == column])]
    order = list(columns)
    return tuple(sorted(corrected, key=lambda group: (order.index(group.column), group.top1, -group.num_clips)))


def _corrected(groups: Sequence[GroupScore]) -> list[GroupScore]:
    """Correct the p-values of one column."""
    p_values = iter(holm([group.p_value for group in groups if group.p_value is not None]))
    return [group if group.p_value is None else group.model_copy(update={"p_value": next(p_values)}) for group in groups]


def _score(column: str, name: str, right: Right, sources: NDArray[np.str_], values: NDArray[np.str_]) -> GroupScore:
    inside, outside = values == name, (values != name) & (values != "")
    is_video = column == SOURCE_VIDEO
    # Of one video, the clips themselves are the sample.
    of_clip = np.arange(len(right)).astype(str) if is_video else sources
    num_needed = 1 if is_video else MIN_SOURCES
    is_enough = all(of.sum() >= MIN_CLIPS and len(set(sources[of])) >= num_needed for of in (inside, outside))
    return GroupScore(
        column=column,
        name=name,
        num_clips=int(inside.sum()),
        num_sources=len(set(sources[inside])),
        top1=float(right[inside].mean()),
        interval=top1_interval(right[inside], of_clip[inside].tolist()),
        is_worse=bool(outside.any() and right[inside].mean() < right[outside].mean()),
        p_value=_p_value(right, of_clip, inside, outside) if is_enough else None,
    )


def _p_value(right: Right, sources: NDArray[np.str_], inside: Right, outside: Right) -> float:
    """Test the difference of a group to the rest, two-sided.

    The p-value is the larger one of Fisher's exact test, which takes clips as independent, and of Student's t with an error that is robust to
    clips of one video being alike (Liang and Zeger 1986), whose degrees of freedom are those of the part with fewer videos.
    """
    counts = [[int(right[of].sum()), int((~right[of]).sum())] for of in (inside, outside)]
    exact = float(fisher_exact(counts).pvalue)
    difference = right[inside].mean() - right[outside].mean()
    influence = np.where(inside, (right - right[inside].mean()) / inside.sum(), 0.0)
    influence -= np.where(outside, (right - right[outside].mean()) / outside.sum(), 0.0)
    _, of_source = np.unique(sources, return_inverse=True)
    num_sources = min(len(set(sources[of])) for of in (inside, outside))
    error = np.sqrt((np.bincount(of_source, weights=influence) ** 2).sum() * num_sources / (num_sources - 1))
    if not error:
        return exact
    return max(exact, float(2 * student.sf(abs(difference) / error, num_sources - 1)))
