"""How often new films are called unlike the training clips, where they are like those of the dataset and where they are not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from tasks.data.split.split import assign_splits
from tasks.errors import BadDataset
from tasks.options import SplitOptions
from tasks.predict.class_mix import class_mix
from tasks.predict.shift import FALSE_ALARMS, NewFilm, distances_between_films, reference_films, shift_of
from tasks.store.records.record import SplitName
from tests.simulations.splits import NUM_ACTIONS, clips_of, film
from tests.simulations.tables import Table, of_each, per_cent

NUM_FEATURES = 64
FILMS, NEW_FILMS = (12, 20, 40), (1, 3)
SHIFTS = {"like": 0.0, "off by 4": 4.0, "off by 8": 8.0}
ROTATIONS = {"like": 0, "other frequencies": 10}
FILM, CLIP = 1.5, 0.5
"""The spread of films and of clips in one film, beside that of actions, which is 1."""
FITTED = 0.7
"""The spread of films and clips of train, as a share of that of others, if they taught the backbone."""
RULES: Mapping[str, tuple[float, tuple[SplitName, ...]]] = {
    "published backbone: all films": (1.0, ("train", "val", "test")),
    "trained backbone: films of test": (FITTED, ("test",)),
    "trained backbone: films of val": (FITTED, ("val",)),
    "trained backbone: all films": (FITTED, ("train", "val", "test")),
}
"""The spread of train, and whose films new ones are compared with. Retake does the first two."""


@dataclass(frozen=True)
class Film:
    """The features (n, f) of its clips: those of their actions, and how the film and its clips vary."""

    actions: np.ndarray
    varied: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, actions: np.ndarray) -> "Film":
        return cls(actions, FILM * rng.standard_normal(NUM_FEATURES) + CLIP * rng.standard_normal(actions.shape))

    def features(self, spread: float = 1.0) -> np.ndarray:
        features: np.ndarray = (self.actions + spread * self.varied).astype(np.float32)
        return features


def verdicts(
    rule: str, splits: Mapping[str, SplitName], new: Mapping[float, Mapping[str, np.ndarray]], films: Mapping[str, Film]
) -> dict[tuple[int, float], str]:
    """Compare new films' features by one rule: the verdict by their number and how far they lie off."""
    fitted, compared = RULES[rule]
    of_film = {name: own.features(fitted if splits[name] == "train" else 1.0) for name, own in films.items()}
    known = [name for name in films if splits[name] == "train"]
    features, owners = np.concatenate([of_film[name] for name in known]), [name for name in known for _ in of_film[name]]

    def distances(name: str, own: np.ndarray) -> np.ndarray:
        return distances_between_films(own, [name] * len(own), features, owners)

    others = {name: distances(name, of_film[name]) for name in films if splits[name] in compared}
    reference = [
        film for name, own in others.items() for film in reference_films(own, np.zeros(len(own), np.int64), [name] * len(own), splits)
    ]
    others_off = {off: [NewFilm(name, "", distances(name, own).tolist()) for name, own in by_name.items()] for off, by_name in new.items()}
    return {(number, off): shift_of(own[:number], reference).verdict for off, own in others_off.items() for number in NEW_FILMS}


def draw(rng: np.random.Generator, num_films: int) -> dict[str, dict[tuple[int, float], str]]:
    """Deal films to splits, and compare new ones with them by each rule."""
    actions = {f"film {number:03d}": film(rng) for number in range(num_films)}
    try:
        splits = assign_splits(clips_of(list(actions.values())), {}, SplitOptions()).split_by_source
    except BadDataset:
        return {}
    centres, away = rng.standard_normal((NUM_ACTIONS, NUM_FEATURES)), 2**0.5 * CLIP * rng.standard_normal(NUM_FEATURES)
    films = {name: Film.drawn(rng, centres[own]) for name, own in actions.items()}
    extra = {f"new {number}": Film.drawn(rng, centres[film(rng)]) for number in range(max(NEW_FILMS))}
    new = {off: {name: own.features() + (off * away).astype(np.float32) for name, own in extra.items()} for off in SHIFTS.values()}
    return {rule: verdicts(rule, splits, new, films) for rule in RULES}


def mix_is_unlike(rng: np.random.Generator, num_films: int, num_new: int, off: int) -> bool | None:
    """Compare the actions of new films with those of val and test; None if it cannot tell. Actions are named rightly.

    The ranks of the new films' actions are rotated by `off`.
    """
    actions = {f"film {number:03d}": film(rng) for number in range(num_films)}
    try:
        splits = assign_splits(clips_of(list(actions.values())), {}, SplitOptions()).split_by_source
    except BadDataset:
        return None
    held_out = [own.tolist() for name, own in actions.items() if splits[name] != "train"]
    labels = Counter(action for name, own in actions.items() if splits[name] == "train" for action in own.tolist())
    new = [((film(rng) + off) % NUM_ACTIONS).tolist() for _ in range(num_new)]
    mix = class_mix(new, held_out, labels)
    return None if mix.p_value is None else mix.p_value <= FALSE_ALARMS


def mix_table(num_draws: int) -> Table:
    rows = []
    for num_films, num_new in product(FILMS, NEW_FILMS):
        rng, figures = np.random.default_rng(0), []
        for off in ROTATIONS.values():
            answers = [mix_is_unlike(rng, num_films, num_new, off) for _ in range(max(1, num_draws // 2))]
            figures += [per_cent(answers.count(answer) / len(answers)) for answer in (True, None)]
        rows.append((str(num_films), str(num_new), *figures))
    note = (
        f"The same films; {num_draws // 2} draws. All actions are named rightly. Actions of new films are as frequent as in the dataset, or their frequencies are those of other "
        "actions, some ranks away. New films are compared with val and test."
    )
    return Table("Predicted actions unlike the labels", note, ["films", "new films", *of_each(ROTATIONS, "unlike", "cannot tell")], rows)


def tables(num_draws: int) -> list[Table]:
    rng = np.random.default_rng(0)
    drawn = {num_films: [verdict for _ in range(max(1, num_draws // 2)) if (verdict := draw(rng, num_films))] for num_films in FILMS}
    rows = []
    for rule, num_films, num_new in product(RULES, FILMS, NEW_FILMS):
        each = [[verdict[rule][num_new, off] for verdict in drawn[num_films]] for off in SHIFTS.values()]
        figures = [per_cent(own.count(verdict) / len(own)) for own in each for verdict in ("unlike", "unknown")]
        rows.append((rule, str(num_films), str(num_new), *figures))
    note = (
        f"Films of 3 to 9 clips, whose actions follow Zipf's law among {NUM_ACTIONS}, dealt to the splits as Retake does; {num_draws // 2} draws. Features are "
        f"normal: actions vary by 1, films by {FILM:g}, clips of a film by {CLIP:g}. New films are drawn alike, or lie off by so many times the typical difference of two "
        f"clips of a film in each feature. If training taught the backbone, films and clips of train vary {FITTED:g} times as much. Retake compares new films with all "
        "films of the dataset if the backbone is as published, else with those of test; the rest shows why."
    )
    header = ["compared with", "films", "new films", *of_each(SHIFTS, "unlike", "cannot tell")]
    return [Table("New films unlike the training clips", note, header, rows), mix_table(num_draws)]
