"""Count the labels of the labelling page that a build does not have yet."""

from collections.abc import Hashable, Mapping, Sequence

from tasks.data.labels.statements import Ledger
from tasks.store.records.labelling import AnyEntry

Words = tuple[str, str]


def num_new_labels(entries: Sequence[AnyEntry], num_built: int) -> int:
    """Count clips and intervals of the log whose label its first `num_built` entries do not give.

    What was taken back, what a person is unsure of, and what was only renamed is no new label. Labels of files are not looked at.
    """
    now = Ledger.of(entries)
    labels, built = _labels(now, now), _labels(Ledger.of(entries[:num_built]), now)
    return sum(built.get(part) != words for part, words in labels.items())


def _labels(ledger: Ledger, names: Ledger) -> Mapping[Hashable, Words]:
    """Return the words of each clip and interval that is labelled, by the names that `names` merges them into."""
    clips = {key: standing[-1] for key, standing in ledger.clips()}
    words: dict[Hashable, Words | None] = {key: names.words(one) for key, one in clips.items()}
    for interval in (one for video in ledger.videos for one in ledger.intervals(video)):
        # Two actions may share their time, so an interval with another label is another one.
        said = names.words(interval)
        words["interval", interval.video, interval.start_seconds, interval.stop_seconds, said] = said
    return {part: said for part, said in words.items() if said}
