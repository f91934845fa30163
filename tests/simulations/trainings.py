"""How often the interval of what more labels gain holds the truth, with heads that are really trained on drawn features.

Legend: n clips, f features, c classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.data.split.folds import random_orders, subset_sizes
from tasks.judge.statistics.learning_curve import learning_curve, num_new_classes
from tests.simulations.tables import Table, of_each, per_cent

NUM_FEATURES, NUM_DRAWS = 64, 5
NUM_TRAIN_FILMS, CLIPS_OF_FILM, VAL_CLIPS_OF_FILM = 20, 10, 5
NUM_FILMS_OF_TRUTH, NUM_TRAININGS_OF_TRUTH, NUM_CURVES = 600, 25, 25
EPOCHS, BATCH_SIZE, LEARNING_RATE = 4, 4, 5e-3
FILMS = (6, 20)


@dataclass(frozen=True)
class Design:
    """Classes whose frequencies fall as `rank ** -zipf`; a share of the labels is wrong."""

    name: str
    num_classes: int
    zipf: float
    label_noise: float
    distance: float


DESIGNS = (
    Design("10 equal classes", 10, 0, 0, 0.35),
    Design("40 classes with a long tail", 40, 1, 0, 0.5),
    Design("300 classes that still arrive", 300, 1, 0, 0.55),
    Design("10 equal classes, 20 % of labels wrong", 10, 0, 0.2, 0.4),
)


class Kitchen:
    """Draws videos of a design: features (n, f), labels (n,) and videos (n,)."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.means = np.random.default_rng(1).normal(0, design.distance, (design.num_classes, NUM_FEATURES))
        weights = np.arange(1, design.num_classes + 1) ** -float(design.zipf)
        self.shares = weights / weights.sum()

    def films(self, rng: np.random.Generator, num_films: int, num_clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        films = np.repeat(np.arange(num_films), num_clips)
        classes = rng.choice(self.design.num_classes, len(films), p=self.shares)
        for clip in np.flatnonzero(rng.random(len(films)) < 0.3):
            if clip % num_clips:
                classes[clip] = classes[clip - 1]
        features = self.means[classes] + rng.normal(0, 0.5, (num_films, NUM_FEATURES))[films] + rng.normal(0, 1, (len(films), NUM_FEATURES))
        wrong = rng.random(len(films)) < self.design.label_noise
        return features, np.where(wrong, rng.choice(self.design.num_classes, len(films), p=self.shares), classes), films


def heads(
    train: tuple[np.ndarray, np.ndarray],
    num_epochs: int,
    rng: np.random.Generator,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    num_classes: int = 0,
) -> Iterator[np.ndarray]:
    """Train linear heads (f + 1, c) with Adam, by default as preset `light` does; they are the same array after each epoch."""
    features, labels = np.c_[train[0], np.ones(len(train[0]))], train[1]
    weights = np.zeros((NUM_FEATURES + 1, num_classes or labels.max() + 1))
    mean, square, step = np.zeros_like(weights), np.zeros_like(weights), 0
    for _ in range(num_epochs):
        order = rng.permutation(len(labels))
        for batch in (order[start : start + batch_size] for start in range(0, len(order), batch_size)):
            logits = features[batch] @ weights
            likely = np.exp(logits - logits.max(1, keepdims=True))
            likely /= likely.sum(1, keepdims=True)
            likely[np.arange(len(batch)), labels[batch]] -= 1
            gradient, step = features[batch].T @ likely / len(batch), step + 1
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            weights -= learning_rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        yield weights


def logits_of(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The logits (n, c) of linear heads."""
    logits: np.ndarray = np.c_[features, np.ones(len(features))] @ weights
    return logits


def right(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], num_epochs: int, rng: np.random.Generator
) -> np.ndarray:
    """Train linear heads; say which test clips (n,) they answer correctly."""
    *_, weights = heads(train, num_epochs, rng)
    return logits_of(weights, test[0]).argmax(1) == test[1]


def true_gain(kitchen: Kitchen, rng: np.random.Generator) -> float:
    """The mean gain of twice as many videos, on very many clips of all classes."""
    test = kitchen.films(rng, NUM_FILMS_OF_TRUTH, VAL_CLIPS_OF_FILM)[:2]

    def accuracy(num_films: int) -> float:
        train = kitchen.films(rng, num_films, CLIPS_OF_FILM)[:2]
        return float(right(train, test, EPOCHS, rng).mean())

    once, twice = (np.mean([accuracy(times * NUM_TRAIN_FILMS) for _ in range(NUM_TRAININGS_OF_TRUTH)]) for times in (1, 2))
    return float(twice - once)


def curves(kitchen: Kitchen, num_films: int, num_curves: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """The estimated gain of twice as many clips and its limits, of each curve that gives one; val lacks actions that train lacks."""
    gains = []
    for number in range(num_curves):
        features, labels, films = kitchen.films(rng, NUM_TRAIN_FILMS, CLIPS_OF_FILM)
        val = kitchen.films(rng, num_films, VAL_CLIPS_OF_FILM)
        val_features, val_labels, val_films = (values[np.isin(val[1], labels)] for values in val)
        sources, sizes = [str(film) for film in films], subset_sizes(len(labels))
        answers = np.empty((len(sizes), NUM_DRAWS, len(val_labels)), bool)
        for draw, order in enumerate(random_orders(sources, NUM_DRAWS, number)):
            for index, size in enumerate(sizes):
                part = order[:size]
                answers[index, draw] = right((features[part], labels[part]), (val_features, val_labels), EPOCHS, rng)
        curve = learning_curve(
            answers,
            sizes,
            [str(film) for film in val_films],
            target="action",
            majority_top1=np.bincount(val_labels).max() / len(val_labels),
            new_classes=num_new_classes(np.unique(labels, return_counts=True)[1].tolist()),
            num_resamples=300,
        )
        gains += [(gain.gain, *gain.interval) for gain in curve.gains[:1]]
    return gains


def tables(num_draws: int) -> list[Table]:
    """One table; `num_draws` limits the curves of a cell."""
    rows = []
    for design in DESIGNS:
        kitchen = Kitchen(design)
        truth = true_gain(kitchen, np.random.default_rng(0))
        cells = []
        for num_films in FILMS:
            gains = np.array(curves(kitchen, num_films, min(NUM_CURVES, num_draws), np.random.default_rng(0)))
            if not len(gains):
                cells += ["", ""]
                continue
            cells += [f"{100 * gains[:, 0].mean():+.1f}", per_cent(((gains[:, 1] <= truth) & (truth <= gains[:, 2])).mean())]
        rows.append((design.name, f"{100 * truth:+.1f}", *cells))
    return [
        Table(
            "What more labels would gain, with real trainings",
            f"Linear heads of drawn features by the recipe of preset `light`, on {NUM_TRAIN_FILMS} videos of {CLIPS_OF_FILM} clips, {NUM_CURVES} curves each. "
            "The estimated gain of twice as many clips, and how often its interval holds the true one, which is on clips of all classes. Val videos have "
            f"{VAL_CLIPS_OF_FILM} clips, and lack actions that train lacks.",
            ["classes", "true gain", *of_each((f"{films} val videos" for films in FILMS), "estimate", "coverage")],
            rows,
        )
    ]
