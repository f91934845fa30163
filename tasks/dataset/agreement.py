"""Measure how far two readers of the same clips agree, beyond chance (Cohen 1960)."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.dataset.statements import Ledger, words_of
from tasks.results.dataset import Agreement, action_name
from tasks.results.labelling import ClipStatement

NUM_DRAWS = 1000
MIN_VIDEOS = 2


@dataclass(frozen=True)
class Pair:
    """The answers of two people about a clip, the first reader's first; the second did not see the first answer."""

    video: str
    first: str
    second: str


def read_twice(ledger: Ledger) -> list[Pair]:
    """List the clips with a blind second reading: each reader's own first answer, unless they were unsure."""
    pairs = []
    for (video, _, _), standing in ledger.clips():
        first = next((one for one in standing if one.reading == "first" and words_of(one)), None)
        second = next((one for one in standing if one.reading == "second" and words_of(one) and first and one.by != first.by), None)
        if first and second:
            pairs.append(Pair(video, _name(ledger, first), _name(ledger, second)))
    return pairs


def agreement(pairs: Sequence[Pair], seed: int = 0) -> Agreement | None:
    """Compute kappa over clips, with an interval that resamples videos; None without pairs."""
    if not pairs:
        return None
    by_video: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_video[pair.video].append(pair)
    return Agreement(
        num_clips=len(pairs),
        num_videos=len(by_video),
        share=sum(pair.first == pair.second for pair in pairs) / len(pairs),
        kappa=kappa(pairs),
        interval=_interval(by_video, seed),
    )


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Compute Cohen's kappa; None if both readers give one and the same answer to all clips."""
    total = len(pairs)
    observed = sum(pair.first == pair.second for pair in pairs) / total
    first, second = Counter(pair.first for pair in pairs), Counter(pair.second for pair in pairs)
    by_chance = sum(first[name] * second[name] for name in first) / total**2
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def _interval(by_video: Mapping[str, Sequence[Pair]], seed: int) -> tuple[float, float] | None:
    if len(by_video) < MIN_VIDEOS:
        return None
    groups, draw = [by_video[video] for video in sorted(by_video)], random.Random(seed)  # noqa: S311 - a statistic, not a secret
    values = []
    for _ in range(NUM_DRAWS):
        value = kappa([pair for group in draw.choices(groups, k=len(groups)) for pair in group])
        if value is not None:
            values.append(value)
    if not values:
        return None
    values.sort()
    return values[int(0.025 * (len(values) - 1))], values[round(0.975 * (len(values) - 1))]


def _name(ledger: Ledger, statement: ClipStatement) -> str:
    verb, noun = ledger.words(statement) or ("", "")
    return action_name(verb, noun)
