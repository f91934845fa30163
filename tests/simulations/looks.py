"""How often the gate promotes the luckiest of many networks, or any in a year, and how often it sees one that is better."""

from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.special import bdtr, ndtri

from tasks.judge.gate.error_budget import left_to_spend, offered
from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.uncertainty import TAIL
from tests.simulations.answers import Val, film_shares
from tests.simulations.tables import Table, per_cent

NUM_CLIPS, RIGHT, CORRELATION = 5, 0.6, 0.2
FILMS, NUM_NETWORKS, SHARES = (10, 40), (1, 4, 10, 50), (0.1, 0.25, 0.5)
YEARLY_ERROR = 0.1
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = {"weekly": 7, "monthly": 30}
OF_A_RECIPE, OF_ITS_PARENT = 0.8, 0.7
"""How alike two trainings of one recipe answer, and a recipe and the one that it was changed from."""


def passes(ours: np.ndarray, theirs: np.ndarray, sources: list[str], level: float) -> bool:
    """Whether the gain shows at this one-sided level."""
    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    # The exact test alone takes no time, and fails most equal networks.
    if gained <= lost or bdtr(lost, gained + lost, 0.5) >= level:
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
    """How often the best of equal networks on a part of 40 videos passes on all: at 2.5 %, and with looks counted by the root of the part."""
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

    Val grows from 10 to 40 videos. With `climbs`, each recipe is a change of the one that was best on val so far.
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
            answers = luck < ndtri(shares)
            recipes.append((recipe, answers))
            for index, tail in enumerate((TAIL, level)):
                passed[index] = passed[index] or passes(answers[:seen], champion[:seen], sources[:seen], tail)
        alone, charged = alone + passed[0], charged + passed[1]
    return alone / num_draws, charged / num_draws


def seen_at(points: float, num_films: int, level: float, num_draws: int) -> float:
    """How often a network that is truly better by `points` passes at this level."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(num_draws):
        val = Val(rng, num_films, NUM_CLIPS, CORRELATION)
        ours, theirs = (val.answers((1 + sign * points / 100) / 2) for sign in (1, -1))
        passed += passes(ours, theirs, val.sources, level)
    return passed / num_draws


def tables(num_draws: int) -> list[Table]:
    winners = [
        (
            str(films),
            easy_films,
            str(number),
            *map(per_cent, winner_passes(number, films, num_draws, own_films=easy_films == "other videos")),
        )
        for films in FILMS
        for easy_films in ("the same videos", "other videos")
        for number in NUM_NETWORKS
    ]
    parts = [
        (per_cent(share), str(number), *map(per_cent, chosen_on_a_part(share, number, num_draws)))
        for share in SHARES
        for number in NUM_NETWORKS[1:]
    ]
    years = [
        (pace, "the best so far, changed" if climbs else "a new one", *map(per_cent, false_years(pace, num_draws, climbs=climbs)))
        for pace in DAYS
        for climbs in (False, True)
    ]
    levels = {
        "first": TAIL,
        "fifth of a day": charges(5, 0)[-1],
        **{f"{number}th {pace}": charges(number, days)[-1] for pace, days in DAYS.items() for number in (5, 20, 50)},
        "first, best of 10": TAIL / 10,
        "20th monthly, best of 10": charges(20, DAYS["monthly"])[-1] / 10,
    }
    power = []
    for name, level in levels.items():
        shares = [seen_at(points, films, level, max(1, num_draws // 2)) for films in FILMS for points in (10, 20, 30)]
        power.append((name, f"{100 * level:.2g} %", *map(per_cent, shares)))
    alike = f"Networks and champion name {per_cent(RIGHT)} right"
    return [
        Table(
            "The best of many equal networks passes",
            f"{alike}, on videos of {NUM_CLIPS} clips with a correlation of {CORRELATION}; {num_draws:,} draws. At 2.5 %, as if it were the only one; at 2.5 % divided "
            "by their number, as the gate does; and if a person trains one after another and stops at the first that passes so.",
            ["videos", "easy are", "networks", "at 2.5 %", "as the gate does", "the first that passes"],
            winners,
        ),
        Table(
            "The best of many on a part of the clips passes on all",
            f"{alike}, on 40 videos, of which a part chose the best; {num_draws:,} draws. The gate counts the others by the square root of the part.",
            ["part", "networks", "at 2.5 %", "as the gate does"],
            parts,
        ),
        Table(
            "A year of decisions on equal networks",
            f"The share of years with a promotion, while val grows from 10 to 40 videos; {num_draws:,} years. Each recipe is new, or a change of the one that was best on "
            f"val so far; the answers of a recipe and of its change are correlated by {OF_ITS_PARENT}, of two trainings of a recipe by {OF_A_RECIPE}.",
            ["decisions", "the recipe is", "at 2.5 % each", "as the gate does"],
            years,
        ),
        Table(
            "A truly better network passes",
            f"By when it is decided, on videos of {NUM_CLIPS} clips; the two lie evenly around 50 %. {max(1, num_draws // 2):,} draws.",
            ["decision", "level", *(f"{films} videos: +{points}" for films in FILMS for points in (10, 20, 30))],
            power,
        ),
    ]
