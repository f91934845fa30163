"""List the next steps of a run's report, by rules over its facts.

The next steps of a whole store are in `tasks/loop/next_steps.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.wording import count, listed, quoted


@dataclass(frozen=True)
class Rare:
    """A class with few clips or few source videos."""

    name: str
    num_clips: int
    num_sources: int


@dataclass(frozen=True)
class Facts:
    """The facts of a run that the rules read; rules ignore a missing fact.

    `missing` are the gate's failed rules, with their details. On all clips of `faultless_split`, both networks are right. With `has_opponent`,
    the challenger did not pass beside a champion.
    """

    model_name: str = ""
    has_champion: bool = False
    num_to_label: int = 0
    num_unlabelled: int = 0
    missing: tuple[str, ...] = ()
    faultless_split: str = ""
    rare: tuple[Rare, ...] = ()
    label_url: str = ""
    predict_url: str = ""
    has_opponent: bool = False
    compare_url: str = ""


@dataclass(frozen=True)
class NextStep:
    """A sentence, and the address where it is done; empty if there is none."""

    text: str
    url: str = ""


def _rare(facts: Facts) -> str:
    named = [f"{quoted(rare.name)} ({count(rare.num_clips, 'clip')} of {count(rare.num_sources, 'video')})" for rare in facts.rare[:5]]
    more = len(facts.rare) - len(named)
    return f"Bring more videos of {listed([*named, count(more, 'more class')] if more else named)}"


RULES: tuple[tuple[Callable[[Facts], object], Callable[[Facts], str], Callable[[Facts], str]], ...] = (
    (
        lambda facts: facts.num_to_label,
        lambda facts: f"Label the {count(facts.num_to_label, 'clip')} from which the network would learn most",
        lambda facts: facts.label_url,
    ),
    (
        lambda facts: facts.num_unlabelled,
        lambda facts: (
            f"Label the {count(facts.num_unlabelled, 'clip')} without a label{', or some of them' if facts.num_unlabelled > 1 else ''}"
        ),
        lambda facts: facts.label_url,
    ),
    (lambda facts: facts.missing, lambda facts: f"The gate lacks: {'; '.join(facts.missing)}", lambda _: ""),
    (
        lambda facts: facts.faultless_split,
        lambda facts: (
            "Bring videos that are harder to tell apart: both networks are right on all "
            f"{facts.faultless_split} clips, so only those can show a difference"
        ),
        lambda _: "",
    ),
    (lambda facts: facts.rare, _rare, lambda _: ""),
    (
        lambda facts: facts.has_opponent,
        lambda _: "Compare this version with the champion on all labelled videos that trained neither",
        lambda facts: facts.compare_url,
    ),
    (
        lambda facts: facts.model_name,
        lambda facts: (
            f"Predict videos that it was not trained on, with models:/{facts.model_name}@{'champion' if facts.has_champion else 'challenger'}"
            + ("" if facts.has_champion else ", because there is no champion yet")
        ),
        lambda facts: facts.predict_url,
    ),
)
"""Whether a rule holds, its sentence, and the address where it is done; in the order in which they are shown."""


def report_steps(facts: Facts) -> Iterator[NextStep]:
    """Yield the steps whose rules hold."""
    return (NextStep(f"{text(facts)}.", url(facts)) for holds, text, url in RULES if holds(facts))
