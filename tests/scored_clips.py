"""Scored clips made by seed, the same clips in another order, and other answers to the same clips."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.long_training import KeptAnswers
from tasks.judge.statistics.metrics import summarise
from tasks.judge.statistics.scoring import ScoredClips, Timings
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.record import TARGETS
from tests.pipeline.shelf import words
from tests.records import some

NUM_VERBS, NUM_NOUNS = 125, 352
ENGINE = some(EngineUsed, name="openvino", precision="bfloat16", description="OpenVINO 2026.4.1", max_difference=0.06, tolerance=1.75)


@pytest.fixture(scope="session")
def vocabulary():
    return words({0: "take", 1: "put", 9: "move"}, {20: "bag", 26: "meat", 41: "sauce"})


@pytest.fixture(scope="session")
def make_clips():
    """Clips with random logits; `skill` lifts the true classes, `classes` limits the true ones to that many of each."""

    def make(num_clips=20, *, seed=0, skill=2.0, classes=3, num_sources=4):
        rng = np.random.default_rng(seed)
        verbs, nouns = rng.integers(classes, size=num_clips), rng.integers(classes, size=num_clips)
        verb_logits = rng.normal(size=(num_clips, NUM_VERBS)).astype(np.float32)
        noun_logits = rng.normal(size=(num_clips, NUM_NOUNS)).astype(np.float32)
        verb_logits[np.arange(num_clips), verbs] += skill
        noun_logits[np.arange(num_clips), nouns] += skill
        return ScoredClips(
            uids=tuple(f"{i:012x}-{i:04d}" for i in range(num_clips)),
            sources=tuple(f"video-{i}" for i in rng.integers(num_sources, size=num_clips)),
            verb_classes=verbs,
            noun_classes=nouns,
            verb_logits=verb_logits,
            noun_logits=noun_logits,
        )

    return make


def summary_of(clips, vocabulary, model="fine-tuned", split="val", **known):
    """The scores of one network on these clips."""
    num_clips = len(clips.uids)
    usual = {
        "crops": 10,
        "predictions_uri": f"s3://retake/{model}",
        "engine": ENGINE,
        "num_parameters": 24_000_000,
        "num_flops": 655_000_000_000,
        "peak_memory_bytes": 2**30,
        "hardware": {"device": "cpu", "device_name": "EPYC", "num_cores": 2, "version.torch": "2.13.0"},
    }
    timings = Timings(np.full(num_clips, 0.018), np.full(num_clips, 1.850), total_seconds=1.850 * num_clips, peak_memory_bytes=1)
    return summarise(clips, timings, vocabulary, model=model, split=split, num_frames=8, **usual | known)


@pytest.fixture(scope="session")
def make_result(make_clips, vocabulary):
    """The scores of one network on clips made by seed."""
    return lambda model="fine-tuned", split="val", **drawn: summary_of(make_clips(**drawn), vocabulary, model, split)


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
