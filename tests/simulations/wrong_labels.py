"""Measures how many planted wrong labels an audit finds: `python -m tests.simulations.wrong_labels [--folder FOLDER]`.

One label of ten is replaced by another action, drawn at random. Features are those of a frozen backbone, of drawn kitchens, and of real clips where
they are. Accuracy is that of probes on videos that they were not fitted to, by the true labels.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupKFold

from tasks.judge.statistics.label_quality import audit_labels
from tasks.learn.training.linear_probe import cross_fitted, fit_probe
from tests.bench.material import cut_up, emptied
from tests.bench.scoring import KITCHEN
from tests.data.labels.records import dataset_clip
from tests.simulations.label_order import NUM_FILMS, Clips, drawn_clips, through_backbone

SHARE, NUM_MENDED, NUM_FOLDS = 0.1, 20, 5
NUM_SEEDS, NUM_MANY_SEEDS = 10, 5
NUM_FEW_FILMS = 12


def real_clips(folder: Path) -> Clips:
    """See each real clip through the frozen backbone; each has a video of its own."""
    labels = list(csv.DictReader((KITCHEN / "labels.csv").open()))
    columns = [[row[name] for row in labels] for name in ("uid", "verb", "noun")]
    features = through_backbone(cut_up(KITCHEN / uid, emptied(folder / "clips"))[0] for uid in columns[0])
    return Clips(features, *(np.unique(names, return_inverse=True)[1] for names in columns))


def measured(clips: Clips, seed: int) -> tuple[float, ...]:
    """Plant wrong labels, and mend the first of the list: share of it that is wrong, share that is found, accuracy before and after."""
    rng = np.random.default_rng(seed)
    true = np.stack([clips.verbs, clips.nouns], axis=1)
    given, actions = true.copy(), np.unique(true, axis=0)
    wrong = rng.choice(len(true), max(1, round(SHARE * len(true))), replace=False)
    for clip in wrong:
        given[clip] = rng.choice(actions[(actions != true[clip]).any(1)])
    listed = doubtful(clips, given)[:NUM_MENDED]
    mended = given.copy()
    mended[listed] = true[listed]
    num_right = np.isin(listed, wrong).sum()
    precision = float(num_right / len(listed)) if listed else np.nan
    return precision, float(num_right / len(wrong)), accuracy(clips, given, true), accuracy(clips, mended, true)


def doubtful(clips: Clips, given: np.ndarray) -> list[int]:
    """List the clips whose label is doubtful, the most doubtful first."""
    labelled = [dataset_clip(str(number), verb=f"{verb:03}", noun=f"{noun:03}") for number, (verb, noun) in enumerate(given)]
    verbs, nouns = (cross_fitted(clips.features, np.unique(ids, return_inverse=True)[1], clips.films.tolist()) for ids in given.T)
    return [int(label.uid) for label in audit_labels(labelled, verbs, nouns).doubtful]


def accuracy(clips: Clips, given: np.ndarray, true: np.ndarray) -> float:
    """Compute the accuracy of actions by the true labels, of probes that are fitted to the given labels of other videos."""
    actions = np.unique(true, axis=0).tolist()
    labels, right = np.array([actions.index(pair) for pair in given.tolist()]), np.array([actions.index(pair) for pair in true.tolist()])
    named = np.empty(len(true), int)
    for fitted, left_out in GroupKFold(min(NUM_FOLDS, len(np.unique(clips.films)))).split(true, groups=clips.films):
        films = clips.films[fitted].tolist()
        head, _ = fit_probe(clips.features[fitted], labels[fitted], films, len(actions))
        named[left_out] = head(clips.features[left_out]).argmax(1)
    return float((named == right).mean())


def row(name: str, draws: list[tuple[float, ...]], clean: float) -> str:
    """Write medians, and the lowest and highest of all draws."""
    cells = [
        f"{100 * np.nanmedian(drawn):.0f} [{100 * np.nanmin(drawn):.0f}, {100 * np.nanmax(drawn):.0f}]"
        for drawn in zip(*draws, strict=True)
    ]
    return f"| {' | '.join([name, *cells, f'{100 * clean:.0f}'])} |"


def few(clips: Clips, seed: int) -> Clips:
    """Draw some of the videos."""
    films = np.random.default_rng(seed).permutation(np.unique(clips.films))[:NUM_FEW_FILMS]
    return clips.of(np.isin(clips.films, films))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.wrong_labels", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where videos are drawn, and kept; default: a new one, which is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as new:
        folder = arguments.folder or Path(new)
        many, real = drawn_clips(folder, NUM_FILMS), real_clips(folder) if KITCHEN.is_dir() else None
    sets = {
        "drawn": [many] * NUM_MANY_SEEDS,
        "drawn, few": [few(many, seed) for seed in range(NUM_SEEDS)],
        "real": [real] * NUM_SEEDS if real else [],
    }
    for name, drawn in sets.items():
        if not drawn:
            continue
        truths = {id(clips): (clips, np.stack([clips.verbs, clips.nouns], axis=1)) for clips in drawn}
        clean = float(np.median([accuracy(clips, true, true) for clips, true in truths.values()]))
        title = f"{name}: {len(drawn[0].films)} clips of {len(np.unique(drawn[0].films))} videos"
        sys.stdout.write(f"{row(title, [measured(clips, seed) for seed, clips in enumerate(drawn)], clean)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
