"""Count what is labelled, by action, video and person."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tasks.data.labels.ledger import Ledger
from tasks.pages.label.clips import PageClip
from tasks.pages.label.desk import View
from tasks.pages.label.queue import Covering, in_conflict, label_of
from tasks.store.records.dataset import NO_OBJECT, NOTHING

Json = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """Numbers of clips at one state of the log."""

    num_clips: int
    num_unsure: int
    num_conflicts: int
    num_new: int
    """Clips that were labelled here since the last build."""
    by_action: Counter[tuple[str, str]]
    by_video: Counter[str]
    by_person: Counter[str]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    """Verbs and nouns in use, also those without a clip."""

    def totals(self, person: str) -> Json:
        """Say how much is done, and how much of it by this person."""
        num_labelled = self.by_action.total()
        return {
            "num_clips": self.num_clips,
            "num_labelled": num_labelled,
            "num_nothing": self.by_action[NOTHING, NO_OBJECT],
            "num_unsure": self.num_unsure,
            "num_conflicts": self.num_conflicts,
            "num_remaining": self.num_clips - num_labelled - self.num_unsure,
            "num_mine": self.by_person[person],
        }

    def named(self, part: Literal[0, 1]) -> list[Json]:
        """List verbs or nouns with their number of clips, the most frequent first; names without a clip come last."""
        numbers: Counter[str] = Counter(dict.fromkeys(self.names[part], 0))
        for words, number in self.by_action.items():
            numbers[words[part]] += number
        left_out = (NOTHING, NO_OBJECT)
        return [
            {"name": name, "num_clips": number}
            for name, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
            if name not in left_out
        ]


def counts_of(view: View, ledger: Ledger, covering: Callable[[PageClip], Covering | None]) -> Counts:
    """Count the clips of a view."""
    by_action: Counter[tuple[str, str]] = Counter()
    by_video: Counter[str] = Counter()
    by_person: Counter[str] = Counter()
    num_unsure = num_conflicts = num_new = 0
    for uid, clip in view.cut.clips.items():
        about, known, interval = ledger.about(clip.key), view.known.get(uid), covering(clip)
        if not about and not known and not interval:
            continue
        words = label_of(ledger, about, known, interval)
        num_conflicts += in_conflict(ledger, about, interval, known)
        by_person.update({one.by for one in about} | ({interval.words.origin} if interval else set()))
        if words:
            is_said = bool(about) and ledger.words(about[-1]) is not None
            num_new += max(ledger.number(about[-1]) if is_said else 0, interval.number if interval else 0) > view.num_built
            by_action[words.verb, words.noun] += 1
            by_video[clip.video] += 1
        else:
            num_unsure += 1
    return Counts(len(view.cut.clips), num_unsure, num_conflicts, num_new, by_action, by_video, by_person, _names(view, ledger))


def _names(view: View, ledger: Ledger) -> tuple[tuple[str, ...], tuple[str, ...]]:
    # An interval may be too short to label a clip.
    said = [ledger.words(one) for video in ledger.videos for one in ledger.intervals(video)]
    verbs, nouns = {words[0] for words in said if words}, {words[1] for words in said if words}
    verbs |= {ledger.merged("verb", name) for name in view.verbs}
    nouns |= {ledger.merged("noun", name) for name in view.nouns}
    return tuple(sorted(verbs)), tuple(sorted(nouns))
