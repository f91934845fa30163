"""Tabulate the predictions of one network against another's, as a matrix and as CSV.

Legend: n clips.
"""

from collections.abc import Mapping

import numpy as np

from tasks.csv_table import csv_table
from tasks.evaluation.answers import Answers, verb_and_noun
from tasks.evaluation.confusion import Confusion, confusion_of
from tasks.prediction.names import Names
from tasks.results.record import Target
from tasks.wording import plain_cell

Named = Mapping[tuple[int, int], int]
"""Clips by pair of top-1 class ids: the model's, the other network's."""

COLUMNS = ("target", "against", "against_class", "model", "model_class", "num_clips")


def confusion_between(target: Target, named: Named, names: Names) -> Confusion:
    """Count the other network's predictions (rows) against the model's (columns); classes beyond 30 are summed."""
    ours, theirs = (np.array([pair[i] for pair in named], np.int64) for i in (0, 1))
    numbers = list(named.values())
    ids = np.union1d(ours, theirs).tolist()
    called = {class_id: names.name(target, class_id) for class_id in ids}
    return confusion_of(Answers(target, np.repeat(theirs, numbers), np.repeat(ours, numbers)[:, None], called))


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
