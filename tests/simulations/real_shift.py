"""Measures which real and drawn videos are called unlike one another: `python -m tests.simulations.real_shift`.

Features are those of a frozen published backbone. Each real clip is a video of its own.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from tasks.predict.shift import NewSource, distances_between_sources, reference_sources, shift_of
from tests.simulations.label_order import NUM_FILMS, Clips, drawn_clips
from tests.simulations.wrong_labels import real_clips

NUM_DATASET_FILMS, NUM_DRAWS = 12, 20


def verdict(dataset: Clips, new: Clips) -> str:
    """Compare new videos with those of a dataset, all of them in train."""
    owners, newcomers = ([f"{kind} {film}" for film in clips.films] for kind, clips in (("known", dataset), ("new", new)))
    own = distances_between_sources(dataset.features, owners, dataset.features, owners)
    reference = reference_sources(own, owners, dict.fromkeys(owners, "train"))
    distances = distances_between_sources(new.features, newcomers, dataset.features, owners)
    films = {name: distances[[owner == name for owner in newcomers]].tolist() for name in dict.fromkeys(newcomers)}
    return shift_of([NewSource(name, name, of_film) for name, of_film in films.items()], reference).verdict


def of_films(clips: Clips, films: Collection[int]) -> Clips:
    return clips.of(np.isin(clips.films, list(films)))


def each_left_out(clips: Clips) -> Counter[str]:
    films = set(np.unique(clips.films).tolist())
    return Counter(verdict(of_films(clips, films - {film}), of_films(clips, {film})) for film in films)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        drawn, real = drawn_clips(Path(folder), NUM_FILMS), real_clips(Path(folder))
    sys.stdout.write(f"each real video beside the others: {dict(each_left_out(real))}\n")
    sys.stdout.write(f"each drawn video beside the others: {dict(each_left_out(drawn))}\n")
    rng = np.random.default_rng(0)
    datasets = [of_films(drawn, rng.permutation(np.unique(drawn.films))[:NUM_DATASET_FILMS].tolist()) for _ in range(NUM_DRAWS)]
    single = Counter(verdict(dataset, of_films(real, {film})) for dataset in datasets for film in np.unique(real.films).tolist())
    together = Counter(verdict(dataset, real) for dataset in datasets)
    sys.stdout.write(f"real videos beside {NUM_DATASET_FILMS} drawn ones: each {dict(single)}, all {dict(together)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
