"""What clips show and what networks call them: drawn by seed, hostile, or the original experiment's own."""

import csv
import io
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from tasks.store.records.dataset import NO_OBJECT, action_name
from tasks.store.records.record import TARGETS, VERB_ALONE

ORIGINAL_CSV = Path(__file__).parents[1] / "statistics" / "original_val_predictions.csv"
HOSTILE_NAMES = (
    '<script>alert("x")</script>',
    "a|b`c`",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "x" * 120,
    "{{ m }}",
    "ﬂour \u202e小麦",
)


@dataclass(frozen=True, eq=False)
class Named:
    """True names and each network's answers, clip by clip, as (verb, noun)."""

    true: list[tuple[str, str]]
    answers: dict[str, list[tuple[str, str]]]
    num_sources: int = 3

    def of(self, target, role=None):
        pairs = self.true if role is None else self.answers[role]
        return [{"verb": v, "noun": n, "action": action_name(v, n)}[target] for v, n in pairs]

    @property
    def targets(self):
        return VERB_ALONE if {noun for _, noun in self.true} == {NO_OBJECT} else TARGETS


def original():
    """The 23 validation clips of the original experiment, as its own networks answered them."""
    rows = list(csv.DictReader(io.StringIO(ORIGINAL_CSV.read_text())))

    def pairs(prefix=""):
        return [(row[f"{prefix}verb"], row[f"{prefix}noun"]) for row in rows]

    return Named(pairs(), {"baseline": pairs("baseline_"), "fine-tuned": pairs("tuned_")})


@cache
def drawn(num_clips=400, num_verbs=12, num_nouns=40, names=lambda kind, i: f"{kind} {i}"):
    rng = np.random.default_rng(0)
    skills = {"baseline": 0.35, "champion": 0.55, "fine-tuned": 0.72}

    def pick(kind, number):
        return names(kind, min(int(rng.exponential(number / 4)), number - 1))

    true = [(pick("verb", num_verbs), pick("noun", num_nouns)) for _ in range(num_clips)]

    def answer(pair, skill):
        verb, noun = pair
        return (verb if rng.random() < skill else pick("verb", num_verbs), noun if rng.random() < skill else pick("noun", num_nouns))

    return Named(true, {role: [answer(pair, skill) for pair in true] for role, skill in skills.items()}, num_sources=min(31, num_clips))


def without_objects():
    """Every label one word, and every noun given."""
    return drawn(100, 5, 1, names=lambda kind, i: ("wave", "clap", "knock", "наливать", "jump")[i] if kind == "verb" else NO_OBJECT)


def mixed():
    """Some labels of one word among others, and a version before this one that is no champion."""
    verbs, nouns = ("put", "take", "wave"), ("meat", NO_OBJECT, "sauce")
    made = drawn(100, 3, 3, names=lambda kind, i: (verbs if kind == "verb" else nouns)[i])
    return replace(made, answers=made.answers | {"previous": made.answers["baseline"]})


def hostile():
    return drawn(60, 6, 6, names=lambda kind, i: f"{kind} {HOSTILE_NAMES[i]}")
