"""The clips that a network got most wrong, and what it said instead: those worth a look into the network."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.evaluation.answers import answers_of
from tasks.evaluation.scoring import ScoredClips
from tasks.results.dataset import Vocabulary


@dataclass(frozen=True)
class Misnamed:
    """A wrong best guess.

    Attributes:
        clip: its place among the scored clips.
        target: the head that guessed: verb where the verb is wrong, else noun.
        class_id, class_name: what it guessed.
    """

    clip: int
    target: Literal["verb", "noun"]
    class_id: int
    class_name: str


def worst_misnamed(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[Misnamed]:
    """At most so many of the clips whose action is wrong, the largest loss first; the earlier clip first where losses are equal."""
    answers = answers_of(clips, vocabulary)
    order = np.argsort(-clips.losses, kind="stable")
    wrong = [int(i) for i in order if not answers["action"].right[i]][:num_clips]
    found = []
    for i in wrong:
        target: Literal["verb", "noun"] = "noun" if answers["verb"].right[i] else "verb"
        class_id = int(answers[target].predicted[i])
        found.append(Misnamed(i, target, class_id, answers[target].names[class_id]))
    return found
