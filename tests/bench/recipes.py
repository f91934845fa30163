"""Rows `recipes`: how many actions of unseen videos a probe and the preset `light` name."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.video.frames import iter_frames
from tasks.judge.statistics.paired import paired_change
from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import build, scaled_as_published
from tasks.learn.networks.spec import spec_of
from tasks.learn.training.job import TrainJob, compute_missing, open_cache, views_of
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tasks.options import LIGHT, Weights, choose_recipe
from tasks.wording import count
from tests.bench.material import CLASSES, FFMPEG, cut_up
from tests.bench.measure import Row
from tests.films.film import Film, make_films
from tests.films.motion import VERBS
from tests.films.samples import plan
from tests.films.things import NOUNS

FIRST_SEED = 300
"""Away from the seeds of other videos."""
RECIPES = {"probe": choose_recipe({}, has_gpu=False, num_clips=1)[0], "light": LIGHT}
VAL_SHARE = 0.1
"""Of the other videos, left out as when the figures in docs were measured."""


def recipes(folder: Path, quick: bool) -> list[Row]:
    """Training sets of several sizes; each clip is scored by networks that saw no clip of its video, with the centre crop."""
    num_films, num_folds, num_seeds, sizes = (4, 2, 1, (2,)) if quick else (96, 6, 3, (9, 20, 40, 72))
    films = plan(seed=FIRST_SEED, num_videos=num_films, video_seconds=16 if quick else 40, audio=False)
    make_films(films, FFMPEG, folder)
    spec = scaled_as_published(spec_of(LIGHT))
    starts = [build(spec, Weights.IMAGENET, seed=seed).network for seed in range(num_seeds)]
    clips = [_seen(film, folder, starts[0]) for film in films]

    def row(size: int) -> Row:
        jobs, tested = [], []
        for seed, network in enumerate(starts):
            order = np.random.default_rng(seed).permutation(num_films)
            for fold in np.array_split(order, num_folds):
                rest = np.random.default_rng((seed, fold[0])).permutation(np.setdiff1d(order, fold))
                num_val = max(1, round(VAL_SHARE * len(rest)))
                test, train = ([clip for i in part for clip in clips[i]] for part in (fold, rest[num_val:][:size]))
                tested += test
                for options in RECIPES.values():
                    drawn = options.model_copy(update={"seed": seed, "views_seed": 0})
                    # A trial is scored after its last epoch, so that nothing is chosen on these clips.
                    job = TrainJob(network, CLASSES, train, test, drawn, folder, device="cpu", features=folder / "features")
                    jobs.append(TrialJob(job, num_crops=1))
        right = [_right(outcome) for outcome in run_trials(jobs)]
        probe, light = right[::2], right[1::2]
        change = paired_change(np.concatenate(light), np.concatenate(probe), [str(clip.source) for clip in tested])
        low, high = (f"{100 * limit:.1f}" for limit in change.interval)
        values = {name: [100 * float(part.mean()) for part in parts] for name, parts in (("probe", probe), ("light", light))}
        first = jobs[0].train.train
        shown = f"{count(len(first), 'training clip')} of {count(len({clip.source for clip in first}), 'video')}"
        how = f"Drawn videos, {num_folds} folds by video, {num_seeds} seeds; a value is of one fold and seed."
        said = f"{100 * change.difference:.1f} points [{low}, {high}] to the probe"
        return Row("recipes", f"Actions named in unseen videos, {shown}", "%", values, "probe", how=how, notes={"light": said})

    return [row(size) for size in sizes]


def _seen(film: Film, folder: Path, network: Network) -> list[CachedClip]:
    """Cut a video, cache the features of its clips, and remove their frames."""
    cached = []
    for clip, shown in zip(cut_up(folder / film.name, folder), film.intervals, strict=True):
        path = folder / f"{clip.sha256}.npy"
        np.save(path, np.stack(list(iter_frames(clip.path, range(0, clip.num_frames, LIGHT.frame_step), short_side=256))))
        cached.append(CachedClip(path, list(VERBS).index(shown.verb), list(NOUNS).index(shown.noun), film.name))
    options = LIGHT.model_copy(update={"views_seed": 0})
    job = TrainJob(network, CLASSES, cached, cached, options, folder, device="cpu", features=folder / "features")
    compute_missing(job, "cpu", open_cache(job, network), views_of(job))
    for clip in cached:
        clip.frames.unlink()
    return cached


def _right(outcome: TrialOutcome | TrialFailure) -> NDArray[np.bool_]:
    """Say which clips of a trial got their action."""
    assert isinstance(outcome, TrialOutcome), outcome
    return np.array([digit == "1" for digit in outcome.right["action"]])
