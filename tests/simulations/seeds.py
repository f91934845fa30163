"""How often a recipe that is no better than the champion passes, by one seed's network and by the mean of five."""

import numpy as np

from tasks.judge.statistics.paired import recipe_change
from tasks.judge.statistics.uncertainty import TAIL, resample, sums_by_source
from tests.simulations.answers import Val
from tests.simulations.tables import Table, of_each, per_cent

NUM_SEEDS, RIGHT, CORRELATION = 5, 0.6, 0.2
DESIGNS, SPREADS = ((10, 5), (40, 5), (40, 20)), (0.0, 0.03, 0.06)
RULES = ("one seed", "mean, videos alone", "mean, both variances")
GAINS = {0.0: "no better", 0.1: "10 points better"}


def passes(
    num_films: int, num_clips: int, spread: float, gain: float, num_draws: int, level: float = TAIL, num_seeds: int = NUM_SEEDS
) -> tuple[float, ...]:
    """How often a recipe passes by each of the rules, whose networks' accuracies have this standard deviation over seeds."""
    rng, passed = np.random.default_rng(0), np.zeros(len(RULES))
    for _ in range(num_draws):
        val = Val(rng, num_films, num_clips, CORRELATION)
        champion = val.answers(RIGHT)
        networks = np.stack([val.answers(min(max(RIGHT + gain + spread * rng.standard_normal(), 0.01), 0.99)) for _ in range(num_seeds)])
        if networks.sum() <= num_seeds * champion.sum() and networks[0].sum() <= champion.sum():
            continue
        alone, both = (recipe_change(ours, champion, val.sources, num_resamples=500, tail=level) for ours in (networks[:1], networks))
        sums, clips = sums_by_source((networks.astype(np.int64) - champion).sum(axis=0), val.sources)
        videos = resample(sums, clips * num_seeds, num_resamples=500, tail=level)
        passed += [alone.interval[0] > 0, videos.interval[0] > 0, both.interval[0] > 0]
    return tuple((passed / num_draws).tolist())


def tables(num_draws: int) -> list[Table]:
    rows = []
    for spread in SPREADS:
        for films, clips in DESIGNS:
            shares = [passes(films, clips, spread, gain, -(-num_draws // (2 if gain else 1))) for gain in GAINS]
            rows.append((f"{100 * spread:g} points", f"{films} of {clips}", *(per_cent(share) for of_gain in shares for share in of_gain)))
    return [
        Table(
            "A recipe with several seeds",
            f"The champion names 60 % right. How often a recipe passes that does so on average, or is 10 points better, while its networks' true accuracies vary with the seed; the mean is over {NUM_SEEDS} seeds. {num_draws:,} draws, half as many of the better recipe.",
            ["sd over seeds", "videos of clips", *of_each(tuple(GAINS.values()), *RULES)],
            rows,
        ),
    ]
