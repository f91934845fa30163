"""The same clips in another order, and other answers to the same clips."""

from dataclasses import replace

import numpy as np

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.long_training import KeptAnswers
from tasks.store.records.record import TARGETS


def reordered(clips, order):
    by_clip = ("verb_classes", "noun_classes", "verb_logits", "noun_logits")
    names = {field: tuple(getattr(clips, field)[i] for i in order) for field in ("uids", "sources")}
    return replace(clips, **names, **{field: getattr(clips, field)[order] for field in by_clip})


def shuffled(clips, seed):
    return reordered(clips, np.random.default_rng(seed).permutation(len(clips.uids)))


def about(ours, theirs):
    """A network's answers to `theirs`, as if they were our clips."""
    return replace(theirs, **{field: getattr(ours, field) for field in ("uids", "sources", "verb_classes", "noun_classes")})


def answers(true, predicted):
    """A network's only answer to each clip, of classes that are named by their ids."""
    ids = np.union1d(true, predicted).tolist()
    return Answers("verb", np.array(true), np.array(predicted)[:, None], {i: f"n{i}" for i in ids})


def kept_answers(epoch, right, clips_a_video=4, loss=1.0):
    """Build the answers of an epoch on val, all targets alike."""
    numbers = range(len(right))
    uids, sources = tuple(f"{i:04d}" for i in numbers), tuple(str(i // clips_a_video) for i in numbers)
    return KeptAnswers(epoch, uids, sources, dict.fromkeys(TARGETS, right), np.full(len(right), loss))
