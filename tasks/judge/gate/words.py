"""Word the looks at the deciding clips, and the scores of a recipe's seeds."""

from tasks.store.records.evaluation import Attempt, SeedSpread
from tasks.store.records.record import SplitName
from tasks.wording import count, listed, percent, points


def spread_in_words(spread: SeedSpread) -> str:
    """List the scores of all seeds, the registered network's first, with their standard deviation."""
    first, *others = ((percent(score.top1), f"seed {score.seed}") for score in spread.scores)
    named = [f"{first[0]} ({first[1]}, registered)", *(f"{top1} ({seed})" for top1, seed in others)]
    return f"{listed(named)}, standard deviation {points(spread.top1_seed_sd)}"


def attempt_in_words(attempt: Attempt | None, split: SplitName) -> str:
    """Say how often the deciding clips were looked at, at which level they decide, and what is spent; empty for older results."""
    if attempt is None or attempt.spent is None:
        return ""
    level = _share(attempt.level)
    if attempt.num_others:
        others = f"{_networks(attempt.num_others, 'other network')} scored on these {split} clips"
        must = f"so the gain must show at {level} instead of {_share(attempt.charge)}"
    elif attempt.num_decided:
        others, must = (
            f"{_networks(attempt.num_decided, 'network')} decided on these {split} clips before",
            f"the gain must show at {level}",
        )
    else:
        others, must = f"No other network was scored on these {split} clips", f"the gain must show at {level}"
    looks = others if attempt.obstacle else f"{others}, {must}" if attempt.num_others else f"{others}; {must}"
    spent = f"{_share(attempt.spent)} of the year's {_share(attempt.yearly_error)} are spent"
    if attempt.obstacle:
        risk = f"Nothing is left to test at; {attempt.obstacle}"
    elif attempt.is_spent:
        risk = f"A network that is no better passes in about {_share(attempt.charge)} of cases at most; {spent}"
    else:
        risk = f"It risks nothing, since it promotes nothing whatever the scores are; {spent}"
    return f"{looks}. {risk}."


def _networks(number: int, noun: str) -> str:
    return f"{count(number, noun)} {'was' if number == 1 else 'were'}"


def _share(value: float) -> str:
    return f"{100 * value:.2g} %"
