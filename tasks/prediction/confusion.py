"""What one network calls the clips that the other calls something, as a matrix for people and as a table.

Legend: n clips.
"""

import csv
import io
from collections.abc import Mapping

import numpy as np

from tasks.evaluation.answers import Answers, verb_and_noun
from tasks.evaluation.confusion import Confusion, confusion_of
from tasks.prediction.names import Names
from tasks.results.record import Target
from tasks.wording import plain_cell

Named = Mapping[tuple[int, int], int]
"""Clips by what the model and what the other network name best, as two class ids."""

COLUMNS = ("target", "against", "against_class", "model", "model_class", "num_clips")


def confusion_between(target: Target, named: Named, names: Names) -> Confusion:
    """A row for each class that the other network names, a column for each that the model names; beyond 30 they are added up."""
    ours, theirs = (np.array([pair[i] for pair in named], np.int64) for i in (0, 1))
    numbers = list(named.values())
    ids = np.union1d(ours, theirs).tolist()
    called = {class_id: names.name(target, class_id) for class_id in ids}
    return confusion_of(Answers(target, np.repeat(theirs, numbers), np.repeat(ours, numbers)[:, None], called))


def confusion_table(named: Mapping[Target, Named], names: Names) -> bytes:
    """All pairs of classes as CSV, the most frequent of each target first; an action's class is `verb-noun`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for target, counts in named.items():
        for (ours, theirs), number in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            both = [part for one in (theirs, ours) for part in (plain_cell(names.name(target, one)), _class(target, one))]
            writer.writerow([target, *both, number])
    return text.getvalue().encode()


def _class(target: Target, class_id: int) -> str:
    return "-".join(map(str, verb_and_noun(class_id))) if target == "action" else str(class_id)
