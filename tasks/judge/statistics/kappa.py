"""Measure how far two readers of the same clips agree, beyond chance (Cohen 1960).

Legend: n clips, s source videos, r resamples, c answers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import BOOTSTRAP_SEED, MAX_DRAWS_AT_ONCE, expanded_interval, interval_around
from tasks.store.records.dataset import MIN_VIDEOS_OF_AGREEMENT, Agreement

Counts = NDArray[np.int64]

NUM_DRAWS = 1000


def agreement(pairs: Sequence[tuple[str, str, str]], num_resamples: int = NUM_DRAWS) -> Agreement | None:
    """Compute kappa over (n,) clips of a video and two answers each, with an interval over videos; None without clips."""
    if not pairs:
        return None
    videos, firsts, seconds = zip(*pairs, strict=True)
    names, video = np.unique(videos, return_inverse=True)
    answers, answer = np.unique((firsts, seconds), return_inverse=True)
    first, second = answer.reshape(2, -1)
    agreed, clips = np.bincount(video, weights=first == second).astype(np.int64), np.bincount(video)
    shape = len(names), len(answers)
    cells = (video * shape[1] + reader for reader in (first, second))
    by_first, by_second = (np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape) for cell in cells)
    kappa = float(_kappas(agreed, clips, by_first, by_second, np.ones((1, len(names)), np.int64))[0])
    return Agreement(
        num_clips=len(pairs),
        num_videos=len(names),
        share=float((first == second).mean()),
        kappa=None if np.isnan(kappa) else kappa,
        interval=None if np.isnan(kappa) else _interval(kappa, agreed, clips, by_first, by_second, num_resamples),
    )


def _kappas(agreed: Counts, clips: Counts, first: Counts, second: Counts, times: Counts) -> NDArray[np.float64]:
    """Compute kappa (r,) where each video counts so many `times` (r, s); NaN if both readers give one and the same answer to all clips."""
    total = times @ clips
    by_chance = ((times @ first) * (times @ second)).sum(axis=1) / total**2
    differ = 1 - by_chance
    kappas: NDArray[np.float64] = np.divide((times @ agreed) / total - by_chance, differ, out=np.full(len(total), np.nan), where=differ > 0)
    return kappas


def _interval(kappa: float, agreed: Counts, clips: Counts, first: Counts, second: Counts, num_resamples: int) -> tuple[float, float] | None:
    """Compute the 95 % interval of kappa from resampled source videos; None with too few videos.

    Where readers differ on no clip or on few, resamples show no spread. So the interval is at least as wide as that of the share of clips with
    the same answer, which `top1_interval` describes, turned into a kappa by the share that agrees by chance: with no difference in n clips,
    its lower limit is that of Clopper and Pearson for as many independent clips as the n are worth. A resample with one answer alone counts
    as 1, because in it nobody differs. `docs/evidence.md` shows the simulated coverage.
    """
    num_videos = len(clips)
    if num_videos < MIN_VIDEOS_OF_AGREEMENT:
        return None
    rng, values = np.random.default_rng(BOOTSTRAP_SEED), list[NDArray[np.float64]]()
    block = max(1, MAX_DRAWS_AT_ONCE // max(first.shape))
    for start in range(0, num_resamples, block):
        times = rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=min(block, num_resamples - start))
        values.append(_kappas(agreed, clips, first, second, times))
    low, high = expanded_interval(np.nan_to_num(np.concatenate(values), nan=1.0), kappa, num_videos)
    share = float(agreed.sum() / clips.sum())
    by_chance = float((first.sum(axis=0) * second.sum(axis=0)).sum() / clips.sum() ** 2)
    of_share = [(limit - by_chance) / (1 - by_chance) for limit in interval_around(share, agreed, clips)]
    return max(-1.0, min(low, of_share[0])), min(1.0, max(high, of_share[1]))
