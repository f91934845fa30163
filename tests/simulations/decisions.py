"""How often the gate promotes a network that is no better, and how often it sees one that is."""

import numpy as np

from tasks.judge.gate.gate import _gain
from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.metrics import ClassOutcome, significant_losses
from tasks.judge.statistics.paired import over_guessing
from tasks.judge.statistics.uncertainty import detectable_points, holm
from tasks.store.records.decisions import Attempt
from tests.simulations.answers import Val
from tests.simulations.tables import Table, of_each, per_cent

INTERVAL, ONE_MORE = "interval", "one clip more, which is no rule"
NUM_CLIPS = 5
MAJORITY = 0.4
"""Share of the most frequent of seven classes; the others are alike."""


def promoted_by_chance(num_films: int, correlation: float, num_draws: int, *, own_films: bool = False) -> dict[str, float]:
    """Say how often an equally good network passes the rule of the gain, and is right on one clip more; both name 60 % right."""
    rng, passed = np.random.default_rng(0), dict.fromkeys([INTERVAL, ONE_MORE], 0)
    for _ in range(num_draws):
        val = Val(rng, num_films, NUM_CLIPS, correlation)
        difference = val.difference(val.answers(0.6, own_films=own_films), val.answers(0.6, own_films=own_films))
        passed[INTERVAL] += _gain(difference, Attempt()).passed
        passed[ONE_MORE] += difference.difference > 0
    return {name: times / num_draws for name, times in passed.items()}


def promoted_beside_guessing(accuracy: float, num_films: int, correlation: float, num_draws: int) -> tuple[float, float]:
    """How often a network passes against an untrained baseline: if it is right on one clip more than guessing, and as the gate asks.

    The labels of a video are as alike as its answers. The network is as often right as guessing if `accuracy` is `MAJORITY`.
    """
    rng, one_more, surely = np.random.default_rng(0), 0, 0
    shares = np.array([MAJORITY, *[(1 - MAJORITY) / 6] * 6])
    names = {number: str(number) for number in range(-1, 7)}
    for _ in range(num_draws):
        val = Val(rng, num_films, NUM_CLIPS, correlation)
        of_films = rng.dirichlet(shares * (1 - correlation) / correlation, num_films) if correlation else [shares] * num_films
        true = np.concatenate([rng.choice(7, NUM_CLIPS, p=of_film) for of_film in of_films])
        right = val.answers(accuracy)
        if _gain(val.difference(right, val.answers(0.05)), Attempt()).passed:
            answers = Answers("action", true, np.where(right, true, -1)[:, None], names)
            change = over_guessing(answers, val.sources, num_resamples=500)
            one_more, surely = one_more + (change.difference > 0), surely + (change.interval[0] > 0)
    return one_more / num_draws, surely / num_draws


def clearly_better_by_chance(num_networks: int, num_draws: int) -> tuple[float, float]:
    """How often one or more of equal networks is called clearly better than the first: by its own interval, and corrected by Holm."""
    rng, alone, corrected = np.random.default_rng(0), 0, 0
    for _ in range(num_draws):
        val = Val(rng, 20, NUM_CLIPS, 0.2)
        reference = val.answers(0.6)
        differences = [val.difference(val.answers(0.6), reference, num_resamples=200) for _ in range(num_networks - 1)]
        alone += any(difference.interval[0] > 0 for difference in differences)
        adjusted = holm([difference.p_value or 0.0 for difference in differences])
        corrected += any(p <= 0.05 and difference.difference > 0 for p, difference in zip(adjusted, differences, strict=True))
    return alone / num_draws, corrected / num_draws


def blocked_by_a_class(correlation: float, num_draws: int, *, num_classes: int = 8, truly_lost: float = 0.0) -> tuple[float, float]:
    """How often a network that is right 10 points more often is blocked by a class of 10 clips: by 20 points alone, and as the gate does.

    With `truly_lost`, it is worse by that share on the first class.
    """
    rng, large, blocked = np.random.default_rng(0), 0, 0
    for _ in range(num_draws):
        outcomes = []
        for number in range(num_classes):
            val = Val(rng, 3, 10, correlation)
            chosen = rng.choice(30, 10, replace=False)
            theirs, ours = val.answers(0.6)[chosen], val.answers(0.6 - truly_lost if truly_lost and number == 0 else 0.7)[chosen]
            outcomes.append(ClassOutcome("verb", f"verb {number}", 10, int((ours & ~theirs).sum()), int((theirs & ~ours).sum())))
        large += any(outcome.num_fewer > 2 for outcome in outcomes)
        blocked += any(outcome.num_fewer > 2 for outcome in significant_losses(outcomes))
    return large / num_draws, blocked / num_draws


def seen(points: float, num_films: int, num_clips: int, num_draws: int) -> float:
    """How often a network that is truly better by `points` passes the interval; correlation 0.2."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(num_draws):
        val = Val(rng, num_films, num_clips, 0.2)
        ours, theirs = (val.answers(min(max((1 + sign * points / 100) / 2, 1e-9), 1 - 1e-9)) for sign in (1, -1))
        passed += _gain(val.difference(ours, theirs), Attempt()).passed
    return passed / num_draws


def tables(num_draws: int) -> list[Table]:
    chance = []
    for films in (3, 5, 10, 20):
        for correlation, own in ((0.0, False), (0.4, False), (0.4, True), (0.8, False), (0.8, True)):
            by_rule = promoted_by_chance(films, correlation, num_draws, own_films=own)
            chance.append((str(films), f"{correlation:g}", "other videos" if own else "the same videos", *map(per_cent, by_rule.values())))
    beside = []
    for films in (3, 5, 10, 20):
        for correlation in (0.0, 0.2, 0.4):
            shares = [promoted_beside_guessing(accuracy, films, correlation, num_draws) for accuracy in (MAJORITY, 0.7)]
            beside.append((str(films), f"{correlation:g}", *(per_cent(share) for pair in shares for share in pair)))
    pairs = {number: clearly_better_by_chance(number, max(1, num_draws // 8, num_draws * 2 // number)) for number in (2, 4, 10, 50)}
    compared = [(str(networks), *map(per_cent, shares)) for networks, shares in pairs.items()]
    blocked = [
        (truth, f"{correlation:g}", *map(per_cent, blocked_by_a_class(correlation, num_draws, truly_lost=lost)))
        for truth, lost in (("no class is worse", 0.0), ("one class loses half", 0.3), ("one class loses all", 0.6 - 1e-9))
        for correlation in (0.0, 0.4)
    ]
    power = []
    for films, clips in ((3, 5), (5, 5), (10, 5), (20, 5), (3, 20), (10, 20)):
        points = detectable_points([clips] * films)
        thirty, detected = (per_cent(seen(number, films, clips, num_draws)) for number in (30, points))
        power.append((f"{films} of {clips}", thirty, f"{points} points", detected))
    return [
        Table(
            "An equally good network passes the rule of the gain",
            f"Both name 60 % right. Easy are the same videos for both networks, or others for each. {num_draws:,} draws.",
            ["videos of 5 clips", "correlation", "easy are", INTERVAL, ONE_MORE],
            chance,
        ),
        Table(
            "A network that is no better than guessing passes",
            f"Against an untrained baseline that names 5 % right. The most frequent of seven classes has {per_cent(MAJORITY)} of all clips; a network is "
            "right as often, or on 70 %. Clips of a video are alike in label and answer.",
            ["videos of 5 clips", "correlation", *of_each(("no better", "70 % right"), "one clip more than guessing", "as the gate does")],
            beside,
        ),
        Table(
            "Equal networks in compare_networks",
            "One or more is called significantly better than the first, on 20 videos of 5 clips.",
            ["networks", "each by its own interval", "corrected (Holm)"],
            compared,
        ),
        Table(
            "The rule of the classes",
            "8 classes of 10 clips of 3 videos; the new network is right 10 points more often, but where a class is said to be worse. How often it is blocked.",
            ["truth", "correlation", "by 20 points alone", "as the gate does"],
            blocked,
        ),
        Table(
            "What the deciding clips can show",
            "How often a truly better network passes: with 30 points, and with the difference that `plan` says is detected four times out of five.",
            ["videos of clips", "30 points are seen", "`plan` says", "which is seen"],
            power,
        ),
    ]
