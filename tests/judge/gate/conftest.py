"""Build the scores of two networks and their difference; a test names the numbers that it is about."""

import pytest

from tasks.judge.statistics.paired import PairedChange
from tasks.store.records.evaluation import PairedDifference, SeedScore, SeedSpread
from tasks.store.records.record import TARGETS
from tests.records import some


def difference(num_gained=20, num_lost=10, interval=(0.02, 0.18), **changes):
    """Build the difference of the fine-tuned network from the champion on 100 clips of 10 videos."""
    clips = {"target": "action", "opponent": "champion", "num_clips": 100, "num_sources": 10} | changes
    gain = (num_gained - num_lost) / clips["num_clips"]
    return some(PairedDifference, difference=gain, interval=interval, num_gained=num_gained, num_lost=num_lost, **clips)


def guessing(ours, margin=0.05):
    """Build the difference of the fine-tuned network from always guessing, with an interval that reaches so far on either side."""
    gain = ours.action.top1 - ours.action.majority_top1
    return PairedChange(gain, (gain - margin, gain + margin), 10, num_gained=20, num_lost=10, mcnemar_p=0.5, p_value=0.5)


def spread_of(top1, difference, engine=""):
    """Build the scores of a recipe's seeds, the registered network's first, with the difference of their mean."""
    scores = tuple(SeedScore(seed=seed, run_key=str(seed), top1=share, engine=engine) for seed, share in top1.items())
    return SeedSpread(scores=scores, difference=difference)


@pytest.fixture(scope="session")
def results(make_result):
    return {model: make_result(model, num_clips=100, num_sources=10) for model in ("baseline", "champion", "fine-tuned")}


@pytest.fixture(scope="session")
def scored(results):
    """The fine-tuned network's scores and its opponent's; top-1 and the majority class's share of all targets, or by target."""

    def build(ours=0.5, theirs=0.4, *, opponent="champion", majority=0.1, **update):
        def of(model, top1):
            top1, majorities = (by if isinstance(by, dict) else dict.fromkeys(TARGETS, by) for by in (top1, majority))
            for target in TARGETS:
                interval = (top1[target] - 0.1, top1[target] + 0.1)
                numbers = {"top1": top1[target], "top1_interval": interval, "majority_top1": majorities[target]}
                update[target] = getattr(results[model], target).model_copy(update=numbers | {"majority_class": f"common {target}"})
            return results[model].model_copy(update=update)

        return of("fine-tuned", ours), of(opponent, theirs)

    return build
