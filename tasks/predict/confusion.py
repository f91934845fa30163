"""Tabulate the predictions of one network against another's, as a matrix and as CSV.

Legend: n clips.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasks.csv_table import csv_table
from tasks.judge.statistics.answers import Answers, Ids, verb_and_noun
from tasks.judge.statistics.confusion import Confusion, confusion_of, wrong_cells
from tasks.predict.names import Names
from tasks.store.records.record import Target
from tasks.wording import plain_cell

Named = Mapping[tuple[int, int], int]
"""Clips by pair of top-1 class ids: the model's, the other network's."""

COLUMNS = ("target", "against", "against_class", "model", "model_class", "num_clips")


def confusion_between(target: Target, both: Ids, divergences: NDArray[np.float64], uids: Sequence[str], names: Names) -> Confusion:
    """Count the other network's predictions (rows) against the model's (columns); classes beyond 30 are summed.

    Clips that differ are listed by cell, the largest divergence first.

    Args:
        target: of these classes.
        both: (2, n) top-1 class ids, the model's first.
        divergences: (n,) of the two networks' probabilities.
        uids: (n,) the clips.
        names: of the classes.
    """
    answers = Answers(target, both[1], both[0][:, None], {class_id: names.name(target, class_id) for class_id in np.unique(both).tolist()})
    confusion = confusion_of(answers)
    return replace(confusion, wrong=wrong_cells(confusion, answers, divergences, uids))


def confusion_table(named: Mapping[Target, Named], names: Names) -> bytes:
    """Write all pairs of classes as CSV, most frequent first within each target.

    An action's class is `verb-noun`.
    """
    rows = []
    for target, counts in named.items():
        for (ours, theirs), number in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            both = [part for one in (theirs, ours) for part in (plain_cell(names.name(target, one)), _class(target, one))]
            rows.append(dict(zip(COLUMNS, (target, *both, number), strict=True)))
    return csv_table(COLUMNS, rows)


def _class(target: Target, class_id: int) -> str:
    return "-".join(map(str, verb_and_noun(class_id))) if target == "action" else str(class_id)
