"""How much a trial's score flatters, by the epoch that is scored, with heads that are really trained on drawn features.

Legend: e epochs, n clips.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from tasks.judge.search.results import selection_bias
from tests.simulations.tables import Table
from tests.simulations.trainings import Design, Kitchen, heads, logits_of

DESIGN = Design("10 equal classes", 10, 0, 0, 0.5)
NUM_TRAIN_FILMS, NUM_VAL_FILMS, CLIPS_OF_FILM, NUM_NEW_FILMS = 10, 3, 5, 200
NUM_TRIALS, EPOCHS, BATCH_SIZES, PATIENCE, NUM_SEARCHES = 8, 20, (2, 4, 8), 3, 100
RATES, FOLDS = ((5e-4, 0.05), (0.01, 0.3)), (3, 0)
BEST, LAST, STOPPED = "best on the scored clips", "last", f"last, stops early after {PATIENCE}"

Clips = tuple[np.ndarray, np.ndarray, np.ndarray]


class Trained(NamedTuple):
    """A training's loss (e,) and right answers (e, n) on the scored clips, and its accuracy (e,) on new videos."""

    loss: np.ndarray
    right: np.ndarray
    accuracy: np.ndarray

    def epoch(self, rule: str) -> int:
        """The epoch that is scored."""
        if rule == STOPPED:
            best = 0
            for epoch, loss in enumerate(self.loss):
                best = epoch if loss < self.loss[best] else best
                if epoch - best == PATIENCE:
                    return epoch
        return int(self.loss.argmin()) if rule == BEST else len(self.loss) - 1


class Flattery(NamedTuple):
    """Means over searches, in points.

    How far a trial's score, and the winner's without the estimated luck of the best, lie above the same networks' accuracy on new videos; and
    how far the accuracy of the winner's recipe, as `retrain` trains it, lies above that expectation.
    """

    trial: float
    expected: float
    retrained: float


def trained(train: Clips, scored: Clips, new: Clips, recipe: tuple[float, int], rng: np.random.Generator) -> Trained:
    loss, answers, accuracy = [], [], []
    for weights in heads(train[:2], EPOCHS, rng, *recipe, DESIGN.num_classes):
        logits = logits_of(weights, scored[0])
        loss.append(-log_softmax(logits, axis=1)[np.arange(len(logits)), scored[1]].mean())
        answers.append(logits.argmax(1) == scored[1])
        accuracy.append((logits_of(weights, new[0]).argmax(1) == new[1]).mean())
    return Trained(np.array(loss), np.array(answers), np.array(accuracy))


def part(clips: Clips, chosen: np.ndarray) -> Clips:
    return clips[0][chosen], clips[1][chosen], clips[2][chosen]


def search(kitchen: Kitchen, rates: tuple[float, float], num_folds: int, rng: np.random.Generator) -> dict[str, Flattery]:
    """By the rule of the epoch, what one search flatters."""
    train, val, new = (kitchen.films(rng, films, CLIPS_OF_FILM) for films in (NUM_TRAIN_FILMS, NUM_VAL_FILMS, NUM_NEW_FILMS))
    fold_of_film = rng.permutation(NUM_TRAIN_FILMS) % max(1, num_folds)
    held_out = [fold_of_film[train[2]] == fold for fold in range(num_folds)]
    parts = [(part(train, ~out), part(train, out)) for out in held_out] or [(train, val)]
    sources = [str(film) for _, scored in parts for film in scored[2]]
    recipes = [(np.exp(rng.uniform(*np.log(rates))), int(rng.choice(BATCH_SIZES))) for _ in range(NUM_TRIALS)]
    trials = [[trained(*of_fold, new, recipe, rng) for of_fold in parts] for recipe in recipes]
    by_rule = {}
    for rule in (BEST, LAST, STOPPED):
        answers = [np.concatenate([fold.right[fold.epoch(rule)] for fold in trial]) for trial in trials]
        truths = [np.mean([fold.accuracy[fold.epoch(rule)] for fold in trial]) for trial in trials]
        scores = np.mean(answers, axis=1)
        winner = int(scores.argmax())
        again = trained(train, val, new, recipes[winner], rng) if num_folds else trials[winner][0]
        bias = selection_bias(["".join(str(int(is_right)) for is_right in own) for own in answers], sources, winner)
        assert bias.corrected is not None
        retrained = again.accuracy[again.epoch(BEST)]
        by_rule[rule] = Flattery(*(100 * np.array([np.mean(scores - truths), bias.corrected - truths[winner], retrained - bias.corrected])))
    return by_rule


def flattery(rates: tuple[float, float], num_folds: int, num_searches: int) -> dict[str, Flattery]:
    """By the rule of the epoch, the means of so many searches."""
    kitchen = Kitchen(DESIGN)
    searches = [search(kitchen, rates, num_folds, np.random.default_rng(number)) for number in range(num_searches)]
    return {rule: Flattery(*np.mean([of_search[rule] for of_search in searches], axis=0)) for rule in searches[0]}


def tables(num_draws: int) -> list[Table]:
    """One table; `num_draws` limits the searches of a cell."""
    num_searches = min(NUM_SEARCHES, num_draws)
    rows: list[Sequence[str]] = [
        (f"{rates[0]:g} to {rates[1]:g}", f"{folds} folds" if folds else "val", rule, *(f"{points:+.1f}" for points in mean))
        for rates in RATES
        for folds in FOLDS
        for rule, mean in flattery(rates, folds, num_searches).items()
    ]
    return [
        Table(
            "The epoch that scores a trial",
            f"Searches of {NUM_TRIALS} rates and batch sizes, {EPOCHS} epochs of linear heads on drawn features of {DESIGN.name}; {NUM_TRAIN_FILMS} videos of train and "
            f"{NUM_VAL_FILMS} of val, of {CLIPS_OF_FILM} clips; {num_searches} searches. In points: a trial's score less the accuracy of its networks on {NUM_NEW_FILMS} new "
            "videos; the same of the winner, without the estimated luck of the best; and the accuracy there of the winner's recipe as `retrain` trains it, on all of train with "
            "the epoch that val answers best, less that expectation. Retake scores the last epoch. Rows of one search share its videos.",
            ["learning rates", "scored on", "epoch", "a trial", "the winner, as expected", "`retrain` beyond it"],
            rows,
        )
    ]
