"""Draws the accuracy over the number of labels, in the model's order and at random: `python -m tests.simulations.label_order [--picture FILE]`.

Drawn kitchens stand for new videos; some are never labelled and test. A probe on frozen features is fitted anew after every ten labels. The order
is that of the to-label list, by the product's own functions.

Legend: n clips, f features.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import softmax
from scipy.stats import t as student

from tasks.data.labels.intervals import overlap_seconds
from tasks.data.video.cut import CutClip
from tasks.data.video.frames import read_frames
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.snippets import frames_in_test, snippets_in_test
from tasks.learn.networks.pretrained import build
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.training.linear_probe import fit_probe
from tasks.options import Weights
from tasks.predict.to_label import distances_to_nearest, in_order, scores
from tests.bench.material import FFMPEG, cut_up, emptied
from tests.bench.table import in_columns
from tests.films.samples import make_samples, plan

NUM_FILMS, NUM_TEST_FILMS = 40, 12
FIRST, STEP, LAST = 10, 10, 100
NUM_SEEDS = 12
ORDERS = ("random", "model")


@dataclass(frozen=True)
class Clips:
    """Features (n, f) of clips, and the videos, verbs and nouns (n,) of each."""

    features: np.ndarray
    films: np.ndarray
    verbs: np.ndarray
    nouns: np.ndarray

    def of(self, chosen: np.ndarray) -> "Clips":
        return Clips(self.features[chosen], self.films[chosen], self.verbs[chosen], self.nouns[chosen])


def drawn_clips(folder: Path, num_films: int) -> Clips:
    """Draw videos, cut them, and see each clip through the frozen backbone."""
    if not (folder / "films" / "intervals.csv").exists():
        make_samples(folder / "films", ffmpeg=FFMPEG, seed=1, num_videos=num_films, audio=False)
    labels: list[tuple[str, str, str]] = []

    def cut() -> Iterator[CutClip]:
        for film in plan(seed=1, num_videos=num_films, audio=False):
            for clip in cut_up(folder / "films" / film.name, emptied(folder / "clips")):
                shown = max(film.intervals, key=lambda interval: overlap_seconds(clip, interval))
                labels.append((film.name, shown.verb, shown.noun))
                yield clip

    features = through_backbone(cut())
    return Clips(features, *(np.unique(names, return_inverse=True)[1] for names in zip(*labels, strict=True)))


def through_backbone(clips: Iterable[CutClip]) -> np.ndarray:
    """Compute the mean features (n, f) of a frozen backbone."""
    spec = NetworkSpec(backbone="tf_efficientnet_lite0", num_segments=8)
    engine = PytorchEngine(build(spec, Weights.IMAGENET).network.eval(), 1)

    def seen(clip: CutClip) -> np.ndarray:
        frames = read_frames(clip.path, frames_in_test(clip.num_frames, spec), short_side=256, interpolation=spec.interpolation)
        with torch.inference_mode():
            means: np.ndarray = engine.see(torch.from_numpy(snippets_in_test(frames, spec))).flatten(0, -2).mean(0).numpy()
        return means

    return np.stack([seen(clip) for clip in clips]).astype(np.float64)


def curve(clips: Clips, order: str, seed: int) -> list[float]:
    """The accuracy of actions on videos without a label, after each step."""
    rng = np.random.default_rng(seed)
    test_films = rng.permutation(np.unique(clips.films))[:NUM_TEST_FILMS]
    is_test = np.isin(clips.films, test_films)
    test, pool = clips.of(is_test), clips.of(~is_test)
    shuffled = rng.permutation(len(pool.films))
    labelled, accuracies = list(shuffled[:FIRST]), []
    while True:
        known = pool.of(np.array(labelled))
        heads = [fit_probe(known.features, ids, known.films.tolist(), ids_of.max() + 1)[0]
                 for ids, ids_of in ((known.verbs, clips.verbs), (known.nouns, clips.nouns))]  # fmt: skip
        right = [head(test.features).argmax(1) == ids for head, ids in zip(heads, (test.verbs, test.nouns), strict=True)]
        accuracies.append(float((right[0] & right[1]).mean()))
        if len(labelled) >= LAST:
            return accuracies
        left = np.setdiff1d(shuffled, labelled, assume_unique=True)
        labelled += list(left[:STEP] if order == "random" else left[_by_model(pool.of(left), known, heads)])


def _by_model(left: Clips, known: Clips, heads: Sequence) -> list[int]:
    likely = [softmax(head(left.features), axis=1) for head in heads]
    entropies = sum(-(p * np.log(np.maximum(p, 1e-12))).sum(1) for p in likely)
    features = left.features.astype(np.float32)
    values = scores(entropies, distances_to_nearest(features, known.features.astype(np.float32)))
    return [place for place, _ in in_order(values, features, STEP)]


def table(curves: dict[str, np.ndarray]) -> str:
    """Means over seeds, the quartiles, and the mean paired difference with its 95 % t interval."""
    rows = []
    difference = 100 * (curves["model"] - curves["random"])
    num_seeds = len(difference)
    half = student.ppf(0.975, num_seeds - 1) * difference.std(0, ddof=1) / np.sqrt(num_seeds)
    for i, number in enumerate(range(FIRST, LAST + 1, STEP)):
        cells = [
            f"{100 * curves[o][:, i].mean():.0f} [{', '.join(f'{100 * q:.0f}' for q in np.quantile(curves[o][:, i], (0.25, 0.75)))}]"
            for o in ORDERS
        ]
        mean = difference[:, i].mean()
        rows.append([str(number), *cells, f"{mean:+.0f} [{mean - half[i]:+.0f}, {mean + half[i]:+.0f}]"])
    return "\n".join(in_columns(["Labels", "At random", "In the model's order", "Difference"], rows))


def draw(curves: dict[str, np.ndarray], path: Path) -> None:
    numbers = np.arange(FIRST, LAST + 1, STEP)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for order, color, words in (("random", "#6b7680", "at random"), ("model", "#0067ad", "in the model's order")):
        low, high = 100 * np.quantile(curves[order], (0.25, 0.75), axis=0)
        axes.fill_between(numbers, low, high, color=color, alpha=0.18, linewidth=0)
        axes.plot(numbers, 100 * curves[order].mean(0), color=color, marker="o", markersize=4, label=words)
    axes.set(xlabel="Labelled clips", ylabel="Actions, top-1 % on videos without a label", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.label_order", description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to draw the curves")
    parser.add_argument("--folder", type=Path, help="where videos are drawn, and kept; default: a new one, which is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as new:
        clips = drawn_clips(arguments.folder or Path(new), NUM_FILMS)
    curves = {order: np.array([curve(clips, order, seed) for seed in range(NUM_SEEDS)]) for order in ORDERS}
    sys.stdout.write(f"{table(curves)}\n")
    if arguments.picture:
        draw(curves, arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
