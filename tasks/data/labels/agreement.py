"""Find the clips that two people have read, the second blind."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.data.labels.statements import Ledger
from tasks.store.records.dataset import Disagreement, action_name
from tasks.store.records.labelling import ClipStatement


class Pair(NamedTuple):
    """The answers of two people about a clip, the first reader's first; neither had seen the other's."""

    video: str
    first: str
    second: str
    uid: str


def read_twice(ledger: Ledger) -> list[Pair]:
    """List the clips with a blind second reading, unless a reader was unsure.

    A reader may mend an answer while blind. The first reader is blind until the second one has answered, so the last answer before that
    counts. The second reader is blind until their answer is saved, and again if they go back to the clip as they had it: the last answer that
    is marked as a second reading counts. Later on the page shows both what the other said; such answers are not marked, and label the clip, but
    are no reading of their own. An answer that was taken back counts for nothing.
    """
    pairs = []
    for (video, _, _), standing in ledger.clips():
        words = [ledger.words(one) for one in _blind(standing)]
        said = [action_name(*one) for one in words if one]
        if len(said) == 2:
            pairs.append(Pair(video, said[0], said[1], standing[-1].uid))
    return pairs


def differing(pairs: Sequence[Pair]) -> tuple[Disagreement, ...]:
    """List the clips to which two people give different answers."""
    return tuple(Disagreement(uid=pair.uid, first=pair.first, second=pair.second) for pair in pairs if pair.first != pair.second)


def _blind(standing: Sequence[ClipStatement]) -> Sequence[ClipStatement]:
    """Return the first and the second reader's blind answer about a clip; nothing without a second reader."""
    reader = standing[0].by
    read = next((number for number, one in enumerate(standing) if one.reading == "second" and one.by != reader), None)
    if read is None:
        return ()
    first = [one for one in standing[:read] if one.by == reader]
    second = [one for one in standing if one.by == standing[read].by and one.reading == "second"]
    return first[-1], second[-1]
