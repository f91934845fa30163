"""How often new videos are called unlike the training clips, where they are like those of the dataset and where they are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from tasks.data.split.split import assign_splits
from tasks.errors import BadDataset
from tasks.options import SplitOptions
from tasks.predict.shift import NewSource, distances_between_sources, reference_sources, shift_of
from tasks.store.records.record import SplitName
from tasks.wording import count
from tests.simulations.splits import CLIPS, NUM_ACTIONS, clips_of, film
from tests.simulations.tables import Table, of_each, per_cent

NUM_FEATURES = 64
FILMS, NEW_FILMS = (12, 20, 40), (1, 3)
SHIFTS = {"like": 0.0, "off by 4": 4.0, "off by 8": 8.0}
FILM, CLIP = 1.5, 0.5
"""The spread of videos and of clips in one video, beside that of actions, which is 1."""
NUM_FILMS_OF_LENGTHS, CLIP_SPREADS, NEW_LENGTHS = 40, (CLIP, 3.0), (1, 6, 60)
FITTED = 0.7
"""The spread of videos and clips of train, as a share of that of others, if they taught the backbone."""
RULES: Mapping[str, tuple[float, tuple[SplitName, ...]]] = {
    "published backbone: all videos": (1.0, ("train", "val", "test")),
    "trained backbone: videos of test": (FITTED, ("test",)),
    "trained backbone: videos of val": (FITTED, ("val",)),
    "trained backbone: all videos": (FITTED, ("train", "val", "test")),
}
"""The spread of train, and whose videos new ones are compared with. Retake does the first two."""


@dataclass(frozen=True)
class Film:
    """The features (n, f) of its clips: those of their actions, and how the video and its clips vary."""

    actions: np.ndarray
    varied: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, actions: np.ndarray, clip: float = CLIP) -> "Film":
        return cls(actions, FILM * rng.standard_normal(NUM_FEATURES) + clip * rng.standard_normal(actions.shape))

    def features(self, spread: float = 1.0) -> np.ndarray:
        features: np.ndarray = (self.actions + spread * self.varied).astype(np.float32)
        return features


def verdicts(
    rule: str, splits: Mapping[str, SplitName], new: Mapping[float, Mapping[str, np.ndarray]], films: Mapping[str, Film]
) -> dict[tuple[int, float], str]:
    """Compare new videos' features by one rule: the verdict by their number and how far they lie off."""
    fitted, compared = RULES[rule]
    of_film = {name: own.features(fitted if splits[name] == "train" else 1.0) for name, own in films.items()}
    known = [name for name in films if splits[name] == "train"]
    features, owners = np.concatenate([of_film[name] for name in known]), [name for name in known for _ in of_film[name]]

    def distances(name: str, own: np.ndarray) -> np.ndarray:
        return distances_between_sources(own, [name] * len(own), features, owners)

    others = {name: distances(name, of_film[name]) for name in films if splits[name] in compared}
    reference = [film for name, own in others.items() for film in reference_sources(own, [name] * len(own), splits)]
    others_off = {
        off: [NewSource(name, "", distances(name, own).tolist()) for name, own in by_name.items()] for off, by_name in new.items()
    }
    return {(number, off): shift_of(own[:number], reference).verdict for off, own in others_off.items() for number in NEW_FILMS}


def draw(rng: np.random.Generator, num_films: int) -> dict[str, dict[tuple[int, float], str]]:
    """Deal videos to splits, and compare new ones with them by each rule."""
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


def called_unlike(rng: np.random.Generator, clip: float, new_of: int) -> list[bool]:
    """Say for each number of new videos of `new_of` clips whether they are called unlike; all are ordinary, and the backbone as published."""
    centres = rng.standard_normal((NUM_ACTIONS, NUM_FEATURES))

    def drawn(num_clips: int) -> Film:
        return Film.drawn(rng, centres[rng.choice(film(rng), num_clips)], clip)

    films = {f"film {number:03d}": drawn(rng.integers(*CLIPS, endpoint=True)) for number in range(NUM_FILMS_OF_LENGTHS)}
    splits: dict[str, SplitName] = {name: "train" if number % 4 else "test" for number, name in enumerate(films)}
    new = {f"new {number}": drawn(new_of).features() for number in range(max(NEW_FILMS))}
    by_number = verdicts("published backbone: all videos", splits, {0.0: new}, films)
    return [by_number[number, 0.0] == "unlike" for number in NEW_FILMS]


def lengths_table(num_draws: int) -> Table:
    rows = []
    for clip, new_of in product(CLIP_SPREADS, NEW_LENGTHS):
        rng = np.random.default_rng(0)
        unlike = np.mean([called_unlike(rng, clip, new_of) for _ in range(max(1, num_draws // 2))], axis=0)
        rows.append((f"{clip:g}", str(new_of), *map(per_cent, unlike)))
    note = (
        f"Ordinary new videos beside {NUM_FILMS_OF_LENGTHS} videos of {CLIPS[0]} to {CLIPS[1]} clips, a quarter of them not in train, and a backbone as published; {num_draws // 2} draws. Videos are compared "
        "by as many clips as the shortest has."
    )
    header = ["clips of a video vary by", "clips of a new video", *of_each([count(number, "new video") for number in NEW_FILMS], "unlike")]
    return Table("Ordinary videos of other lengths", note, header, rows)


def tables(num_draws: int) -> list[Table]:
    rng = np.random.default_rng(0)
    drawn = {num_films: [verdict for _ in range(max(1, num_draws // 2)) if (verdict := draw(rng, num_films))] for num_films in FILMS}
    rows = []
    for rule, num_films, num_new in product(RULES, FILMS, NEW_FILMS):
        each = [[verdict[rule][num_new, off] for verdict in drawn[num_films]] for off in SHIFTS.values()]
        figures = [per_cent(own.count(verdict) / len(own)) for own in each for verdict in ("unlike", "unknown")]
        rows.append((rule, str(num_films), str(num_new), *figures))
    note = (
        f"Videos of 3 to 9 clips, whose actions follow Zipf's law among {NUM_ACTIONS}, assigned to the splits as Retake does; {num_draws // 2} draws. Features are "
        f"normal: actions vary by 1, videos by {FILM:g}, clips of a video by {CLIP:g}. New videos are drawn alike, or lie off by so many times the typical difference of two "
        f"clips of a video in each feature. If training taught the backbone, videos and clips of train vary {FITTED:g} times as much. Retake compares new videos with all "
        "videos of the dataset if the backbone is as published, else with those of test; the rest shows why."
    )
    header = ["compared with", "videos", "new videos", *of_each(SHIFTS, "unlike", "cannot tell")]
    return [Table("New videos unlike the training clips", note, header, rows), lengths_table(num_draws)]
