"""How often the gate promotes the luckiest of many networks, or any in a year, and how often it sees one that is better."""

from datetime import UTC, datetime, timedelta

import numpy as np

from tasks.judge.gate.looks import left_to_spend, offered
from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.uncertainty import TAIL
from tests.simulations.answers import Val, film_shares

NUM_CLIPS, RIGHT, CORRELATION = 5, 0.6, 0.2
YEARLY_ERROR = 0.1
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = {"weekly": 7, "monthly": 30}
OF_A_RECIPE, OF_ITS_PARENT = 0.8, 0.7
"""How alike two trainings of one recipe answer, and a recipe and the one that it was changed from."""


def passes(ours: np.ndarray, theirs: np.ndarray, sources: list[str], level: float) -> bool:
    """Whether the gain shows at this one-sided level."""
    if ours.sum() <= theirs.sum():
        return False
    return paired_change(ours, theirs, sources, num_resamples=500, tail=level).interval[0] > 0


def winner_passes(num_networks: int, num_films: int, num_draws: int, *, own_films: bool = False) -> tuple[float, float, float]:
    """How often the best of networks equal to the champion passes: at 2.5 %, at 2.5 % shared by all, and the first that would pass so."""
    rng, alone, shared, first = np.random.default_rng(0), 0, 0, 0
    for _ in range(num_draws):
        val = Val(rng, num_films, NUM_CLIPS, CORRELATION)
        champion, *networks = (val.answers(RIGHT, own_films=own_films) for _ in range(num_networks + 1))
        best = max(networks, key=np.sum)
        alone += passes(best, champion, val.sources, TAIL)
        shared += passes(best, champion, val.sources, TAIL / num_networks)
        first += any(passes(network, champion, val.sources, TAIL / number) for number, network in enumerate(networks, 1))
    return alone / num_draws, shared / num_draws, first / num_draws


def chosen_on_a_part(share: float, num_networks: int, num_draws: int) -> tuple[float, float]:
    """How often the best of equal networks on a part of 40 films passes on all: at 2.5 %, and with looks counted by the root of the part."""
    rng, alone, weighted = np.random.default_rng(0), 0, 0
    for _ in range(num_draws):
        val = Val(rng, 40, NUM_CLIPS, CORRELATION)
        champion, *networks = (val.answers(RIGHT) for _ in range(num_networks + 1))
        num_seen = round(share * len(val.sources))
        best = max(networks, key=lambda network: network[:num_seen].sum())
        alone += passes(best, champion, val.sources, TAIL)
        weighted += passes(best, champion, val.sources, TAIL / (1 + (num_networks - 1) * share**0.5))
    return alone / num_draws, weighted / num_draws


def charges(num_decisions: int, days: float) -> list[float]:
    """What decisions at even distances spend."""
    spent: list[tuple[str, float]] = []
    for number in range(num_decisions):
        now = (START + timedelta(days=number * days)).isoformat()
        spent.append((now, offered(left_to_spend(spent, now, YEARLY_ERROR))))
    return [charge for _, charge in spent]


def false_years(pace: str, num_draws: int, *, climbs: bool = False) -> tuple[float, float]:
    """The share of years with a promotion although all networks are equal: at 2.5 % each, and as charged.

    Val grows from 10 to 40 films. With `climbs`, each recipe is a change of the one that was best on val so far.
    """
    rng, num_decisions = np.random.default_rng(0), 365 // DAYS[pace]
    levels = charges(num_decisions, DAYS[pace])
    alone = charged = 0
    for _ in range(num_draws):
        films = rng.random(40)
        shares = np.repeat(film_shares(rng, RIGHT, CORRELATION, films), NUM_CLIPS)
        sources = [str(film) for film in range(40) for _ in range(NUM_CLIPS)]
        champion = rng.random(len(shares)) < shares
        recipes: list[tuple[np.ndarray, np.ndarray]] = []
        passed = [False, False]
        for number, level in enumerate(levels):
            seen = NUM_CLIPS * (10 + 30 * number // num_decisions)
            recipe = rng.standard_normal(len(shares))
            if climbs and recipes:
                best = max(recipes, key=lambda known: known[1][:seen].sum())[0]
                recipe = OF_ITS_PARENT**0.5 * best + (1 - OF_ITS_PARENT) ** 0.5 * recipe
            luck = OF_A_RECIPE**0.5 * recipe + (1 - OF_A_RECIPE) ** 0.5 * rng.standard_normal(len(shares))
            answers = luck < _normal_quantile(shares)
            recipes.append((recipe, answers))
            for index, tail in enumerate((TAIL, level)):
                passed[index] = passed[index] or passes(answers[:seen], champion[:seen], sources[:seen], tail)
        alone, charged = alone + passed[0], charged + passed[1]
    return alone / num_draws, charged / num_draws


def _normal_quantile(shares: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(shares)


def seen_at(points: float, num_films: int, level: float, num_draws: int) -> float:
    """How often a network that is truly better by `points` passes at this level."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(num_draws):
        val = Val(rng, num_films, NUM_CLIPS, CORRELATION)
        ours, theirs = (val.answers((1 + sign * points / 100) / 2) for sign in (1, -1))
        passed += passes(ours, theirs, val.sources, level)
    return passed / num_draws
