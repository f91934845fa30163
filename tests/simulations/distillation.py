"""Compares students with equal networks trained on labels alone: `python -m tests.simulations.distillation [--folder FOLDER]`.

The teacher is a probe on a frozen backbone, fitted to the labelled clips. Videos are held out by folds, and a part of the others has no labels. Each
clip is answered by the networks that saw no clip of its video; a seed deals folds and labels, and starts the networks.

Legend: k seeds, n clips.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tasks.data.labels.intervals import overlap_seconds
from tasks.data.video.cut import CutClip
from tasks.data.video.frames import read_frames
from tasks.judge.statistics.paired import recipe_change
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.inputs.snippets import read_snippets
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import build
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.training.fit import fit
from tasks.learn.training.job import TrainJob
from tasks.options import TrainOptions, Weights
from tests.bench.material import CLASSES, cut_up, emptied
from tests.bench.scoring import KITCHEN
from tests.films.film import Interval

SAMPLES = Path(__file__).resolve().parents[2] / "tasks" / "local" / "samples"
FRAME_STEP, NUM_FOLDS, NUM_SEEDS = 3, 3, 3
LABELLED_SHARE = {"drawn": 0.5, "real": 0.7}
PROBE = TrainOptions(head="probe", trainable="heads", feature_variants=2, num_segments=3, views_seed=0)
HEADS = {"num_segments": 3, "views_seed": 0, "trainable": "heads", "feature_variants": 2, "batch_size": 4, "learning_rate": 3e-3}
LAST_STAGE = {"num_segments": 1, "trainable": "last-stage", "batch_size": 4, "learning_rate": 1e-3}


@dataclass(frozen=True)
class Student:
    """A backbone, its initial weights, and how it trains."""

    backbone: str
    weights: Weights
    options: TrainOptions
    teacher: TrainOptions


def student(backbone: str, weights: Weights, teacher: str, epochs: int, **recipe: object) -> Student:
    options = TrainOptions.model_validate({"backbone": backbone, "epochs": epochs, "validate_every": min(epochs, 100), **recipe})
    return Student(backbone, weights, options, PROBE.model_copy(update={"backbone": teacher}))


STUDENTS = {
    "heads of lite0": student("tf_efficientnet_lite0", Weights.IMAGENET, "tf_efficientnet_lite2", 30, **HEADS),
    "last stage of lite0": student("tf_efficientnet_lite0", Weights.IMAGENET, "tf_efficientnet_lite2", 6, **LAST_STAGE),
}


@dataclass(frozen=True)
class Film:
    """A video and its clips."""

    name: str
    clips: tuple[CachedClip, ...]


def drawn_films(folder: Path) -> list[Film]:
    """Cut the sample videos into clips of 8 s."""
    rows = list(csv.DictReader((SAMPLES / "intervals.csv").open()))
    verbs, nouns = ({name: number for number, name in enumerate(sorted({row[key] for row in rows}))} for key in ("verb", "noun"))
    shown: dict[str, list[Interval]] = {}
    for row in rows:
        shown.setdefault(row["video"], []).append(
            Interval(float(row["start_seconds"]), float(row["stop_seconds"]), row["verb"], row["noun"])
        )

    def label(name: str, clip: CutClip) -> tuple[int, int]:
        seen = max(shown[name], key=lambda interval: overlap_seconds(clip, interval))
        return verbs[seen.verb], nouns[seen.noun]

    return [film(SAMPLES / name, folder, 8, lambda clip, name=name: label(name, clip)) for name in sorted(shown)]


def real_films(folder: Path) -> list[Film]:
    """Cut the real clips into clips of 2 s."""
    rows = list(csv.DictReader((KITCHEN / "labels.csv").open()))
    return [film(KITCHEN / row["uid"], folder, 2, lambda _, row=row: (int(row["verb_class"]), int(row["noun_class"]))) for row in rows]


def film(path: Path, folder: Path, seconds: float, label) -> Film:
    folder.mkdir(parents=True, exist_ok=True)
    parts = cut_up(path, emptied(folder / "cut"), clip_seconds=seconds, min_clip_seconds=2)
    clips = []
    for number, part in enumerate(parts):
        frames = folder / f"{path.stem}-{number}.npy"
        np.save(frames, read_frames(part.path, range(0, part.num_frames, FRAME_STEP), short_side=256))
        clips.append(CachedClip(frames, *label(part), path.stem))
    return Film(path.stem, tuple(clips))


def answers(network: Network, clips: Sequence[CachedClip]) -> Logits:
    """Answer clips by centre crops: logits (n, v), (n, n)."""
    engine = PytorchEngine(prepare(network), 1)
    return Logits.stacked(engine.answer(engine.see(read_snippets(clip.frames, network.spec))) for clip in clips)


def right(network: Network, clips: Sequence[CachedClip]) -> np.ndarray:
    logits = answers(network, clips)
    verbs, nouns = (np.array([getattr(clip, name) for clip in clips]) for name in ("verb", "noun"))
    return (logits.verb.argmax(1).numpy() == verbs) & (logits.noun.argmax(1).numpy() == nouns)


def trained(options: TrainOptions, weights: Weights, train: Sequence[CachedClip], val: Sequence[CachedClip], folder: Path,
            teaching: Logits | None = None) -> Network:  # fmt: skip
    spec = NetworkSpec(backbone=options.backbone, num_segments=options.num_segments)
    network = build(spec, weights, seed=options.seed).network
    job = TrainJob(network, CLASSES, train, val, options, emptied(folder / "training"), device="cpu", features=folder / "features",
                   teaching=teaching)  # fmt: skip
    return load(fit(job).best).network


def splits(films: Sequence[Film], share: float, seed: int) -> Iterator[tuple[list[CachedClip], list[CachedClip], list[CachedClip]]]:
    """Yield the labelled, the unlabelled and the held-out clips of each fold."""
    order = np.random.default_rng(seed).permutation(len(films))
    for fold in range(NUM_FOLDS):
        held_out = order[fold::NUM_FOLDS]
        others = [number for number in order if number not in held_out]
        num_labelled = round(share * len(others))
        parts = (others[:num_labelled], others[num_labelled:], held_out)
        yield tuple([clip for number in part for clip in films[number].clips] for part in parts)  # type: ignore[misc]


def measured(films: Sequence[Film], share: float, chosen: Student, seed: int, folder: Path) -> dict[str, dict[Path, bool]]:
    """Train by each way, and say of each clip whether it is named right."""
    answered: dict[str, dict[Path, bool]] = {}

    def keep(way: str, network: Network, clips: Sequence[CachedClip]) -> None:
        answered.setdefault(way, {}).update(zip((clip.frames for clip in clips), right(network, clips).tolist(), strict=True))

    for labelled, others, held_out in splits(films, share, seed):
        teacher = trained(chosen.teacher.model_copy(update={"seed": seed}), Weights.IMAGENET, labelled, held_out, folder)
        keep("teacher", teacher, held_out)
        unlabelled = [replace(clip, verb=NO_LABEL, noun=NO_LABEL) for clip in others]
        options = chosen.options.model_copy(update={"seed": seed})
        both = [*labelled, *unlabelled]
        teaching = answers(teacher, both)
        epochs = round(options.epochs * len(both) / len(labelled))
        longer = options.model_copy(update={"epochs": epochs, "validate_every": epochs})
        ways = {
            "labels": (options, labelled, None),
            "labels, as many steps": (longer, labelled, None),
            "distilled": (options, both, teaching),
        }
        if options.trainable != "heads":
            ways.pop("labels, as many steps")
        for way, (recipe, clips, taught) in ways.items():
            keep(way, trained(recipe, chosen.weights, clips, held_out, folder, taught), held_out)
    return answered


def report(name: str, answered: Sequence[dict[str, dict[Path, bool]]], films: Sequence[Film]) -> Iterator[str]:
    """Write for each way the mean accuracy, its range over seeds, and the paired difference to labels alone."""
    clips = [clip for film in films for clip in film.clips]
    by_way = {way: np.array([[of_seed[way][clip.frames] for clip in clips] for of_seed in answered]) for way in answered[0]}
    for way, ours in by_way.items():
        means = 100 * ours.mean(1)
        line = f"| {name} | {way} | {means.mean():.0f} ({means.min():.0f} to {means.max():.0f})"
        gain = ours.astype(int) - by_way["labels"].astype(int)
        yield f"{line} | {difference(ours, by_way['labels'], [clip.source or '' for clip in clips]) if gain.any() else '0'} |\n"


def difference(ours: np.ndarray, theirs: np.ndarray, sources: Sequence[str]) -> str:
    """Write the mean paired difference with its interval over videos."""
    # One network per seed on either side: each pair of a seed is a recipe's answer, so pairs stand in a row as further clips of their film.
    change = recipe_change(ours.reshape(1, -1), theirs.reshape(-1), list(sources) * len(ours))
    low, high = change.interval
    return f"{100 * change.difference:+.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.distillation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    parser.add_argument("--students", nargs="*", default=list(STUDENTS))
    parser.add_argument("--sets", nargs="*", default=["drawn", "real"])
    parser.add_argument("--folder", type=Path, help="where clips are cut, and features kept; default: a new one, which is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as new:
        for kind in arguments.sets:
            folder = (arguments.folder or Path(new)) / kind
            films = {"drawn": drawn_films, "real": real_films}[kind](folder)
            num_clips = sum(len(film.clips) for film in films)
            for title in arguments.students:
                answered = [measured(films, LABELLED_SHARE[kind], STUDENTS[title], seed, folder) for seed in range(arguments.seeds)]
                sys.stdout.writelines(report(f"{kind}, {num_clips} clips of {len(films)} videos; {title}", answered, films))
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
