"""How far val and test flatter a network against new videos, and how often their intervals hold its accuracy there."""

from collections import Counter

import numpy as np

from tasks.data.split.split import assign_splits
from tasks.errors import BadDataset
from tasks.judge.gate.gate import _gain
from tasks.judge.statistics.paired import paired_difference
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.options import SplitOptions
from tasks.store.records.dataset import NO_OBJECT, LabelledClip
from tasks.store.records.decisions import Attempt
from tasks.store.records.video import ClipRecord
from tests.records import some
from tests.simulations.answers import as_answers
from tests.simulations.tables import Table, beta, per_cent

FILMS = (12, 20, 30)
NUM_LABELLED, NOISE = 5, 2.5
NUM_ACTIONS, CLIPS, NUM_NEW_FILMS = 40, (3, 9), 400
OPTIONS = {"no test": SplitOptions(test_share=0), "default": SplitOptions()}


def film(rng: np.random.Generator) -> np.ndarray:
    """Draw the actions of a video's clips by Zipf's law; a video repeats some of them."""
    frequencies = 1 / np.arange(1, NUM_ACTIONS + 1)
    own = rng.choice(NUM_ACTIONS, 4, p=frequencies / frequencies.sum())
    return rng.choice(own, rng.integers(*CLIPS, endpoint=True))


def clips_of(films: list[np.ndarray]) -> list[LabelledClip]:
    return [
        some(
            LabelledClip,
            clip=some(ClipRecord, uid=f"{number:03d}-{place:04d}", video=f"v{number:03d}"),
            source=f"film {number:03d}",
            verb=f"a{action}",
            noun=NO_OBJECT,
        )
        for number, actions in enumerate(films)
        for place, action in enumerate(actions.tolist())
    ]


def draw(rng: np.random.Generator, num_films: int, options: SplitOptions) -> dict[str, tuple[float, bool]]:
    """Deal videos, and score a network that names an action the likelier, the more videos of train show it; unseen ones never.

    Returns:
        by split, the accuracy minus that on new videos, in points, and whether its interval holds that.
    """
    films = [film(rng) for _ in range(num_films)]
    clips = clips_of(films)
    try:
        result = assign_splits(clips, {}, options)
    except BadDataset:
        return {}
    splits, out = result.split_by_source, {bad.name for bad in result.excluded}
    taught = Counter(action for action, source in {(clip.verb, clip.source) for clip in clips} if splits[source] == "train")

    def right(verb: str, ease: float) -> bool:
        return bool(rng.random() < ease * taught[verb] / (taught[verb] + 1))

    def ease() -> float:
        return float(rng.beta(6, 2))

    eases = {source: ease() for source in splits}
    new = [right(f"a{action}", own) for own, actions in ((ease(), film(rng)) for _ in range(NUM_NEW_FILMS)) for action in actions]
    truth = np.mean(new)
    answers = {clip.clip.uid: right(str(clip.verb), eases[clip.source]) for clip in clips}
    flattered = {}
    for name, split, is_open in (("val", "val", False), ("test", "test", False), ("test, left out counted wrong", "test", True)):
        own = [clip for clip in clips if splits[clip.source] == split and (is_open or clip.clip.uid not in out)]
        if own:
            answered = np.array([answers[clip.clip.uid] for clip in own])
            low, high = top1_interval(answered, [clip.source for clip in own])
            flattered[name] = 100 * float(answered.mean() - truth), bool(low <= truth <= high)
    return flattered


def flattery(num_films: int, options: SplitOptions, num_draws: int) -> dict[str, tuple[float, float]]:
    """By split, how many points it flatters on average, and how often its interval holds the accuracy on new videos."""
    rng = np.random.default_rng(0)
    draws = [draw(rng, num_films, options) for _ in range(num_draws)]
    names = dict.fromkeys(name for drawn in draws for name in drawn)
    return {name: tuple(np.mean([drawn[name] for drawn in draws if name in drawn], axis=0).tolist()) for name in names}


def passes_on_chosen(num_films: int, *, in_val: bool, num_draws: int) -> tuple[float, float]:
    """How many points an equal challenger gains on average, and how often it passes the rule of the gain.

    People label a quarter of each video. Of every second video these are the clips that the champion is least sure of, if they are in val.
    """
    rng, passed, points = np.random.default_rng(0), 0, []
    for _ in range(num_draws):
        right, sources = [], []
        for number, ease in enumerate(beta(rng, 0.6, 0.2, num_films)):
            easy = rng.beta(4 * ease, 4 * (1 - ease), 4 * NUM_LABELLED)
            both = rng.random((2, len(easy))) < easy
            is_sure = both[1] + rng.normal(0, NOISE, len(easy))
            labelled = np.argsort(is_sure if in_val and number % 2 else rng.random(len(easy)))[:NUM_LABELLED]
            right.append(both[:, labelled])
            sources += [str(number)] * NUM_LABELLED
        ours, theirs = map(as_answers, np.hstack(right))
        difference = paired_difference(ours, theirs, sources, opponent="champion", num_resamples=500)
        points.append(100 * difference.difference)
        passed += _gain(difference, Attempt()).passed
    return float(np.mean(points)), passed / num_draws


def _chosen(num_draws: int) -> Table:
    rows = [
        [str(films), "val" if in_val else "train", f"{points:+.1f}", per_cent(share)]
        for films in FILMS
        for in_val in (True, False)
        for points, share in [passes_on_chosen(films, in_val=in_val, num_draws=num_draws)]
    ]
    note = (
        f"Videos of {4 * NUM_LABELLED} clips, of which {NUM_LABELLED} are labelled; both networks name 60 % right. If videos of which the champion chose clips go to val, "
        f"every second video there has the clips that it is least sure of; it is surer by 1 where it is right, "
        f"with a noise of {NOISE:g}. {num_draws} draws."
    )
    return Table(
        "Clips that the champion chose", note, ("videos of val", "chosen videos go to", "points", "an equal challenger passes"), rows
    )


def tables(num_draws: int) -> list[Table]:
    rows = [
        [str(number), name, split, f"{off:+.1f}", f"{held:.3f}"]
        for number in FILMS
        for name, options in OPTIONS.items()
        for split, (off, held) in flattery(number, options, num_draws // 2).items()
    ]
    note = (
        f"Videos of {CLIPS[0]} to {CLIPS[1]} clips, whose actions follow Zipf's law among {NUM_ACTIONS}. A network names an action the likelier, the more "
        f"videos of train show it. Points are the accuracy on the split minus that on {NUM_NEW_FILMS} new videos; {num_draws // 2} draws."
    )
    return [
        Table("Val and test against new videos", note, ("videos", "test share", "split", "points", "interval holds"), rows),
        _chosen(num_draws),
    ]
