"""Score clips one by one, prefetching the next clips, and measure time and memory.

Legend: n clips, v verbs, o nouns.
"""

import logging
import re
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from tasks.errors import BadCheckpoint, BadDataset
from tasks.store.records.dataset import DatasetClip, Vocabulary
from tasks.store.records.evaluation import Latency

Logits = NDArray[np.float32]
T = TypeVar("T")
C = TypeVar("C", bound="HasUid")
A = TypeVar("A")

SECONDS_BETWEEN_REPORTS = 20
NUM_PREFETCHED = 4
"""Number of clips loaded ahead; bounds memory use."""
NUM_TIMED_CLIPS = 8
"""Number of clips at the start of a split that are always timed. They are scored even if their logits are known."""
CERTAIN_LOGIT = 1e4
"""The given class's logit, all others being 0. Large enough for probability 1 at any reasonable temperature."""
LIKELY_LOGIT = 20.0
"""The same for a class that may be wrong. The loss of a mistake stays small enough to be averaged."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredClips:
    """One network's logits for a split's clips, in input order, with their true classes.

    Attributes:
        uids, sources: (n,) each clip and its source video.
        verb_classes, noun_classes: (n,) true class ids: indices into the logits, or beyond them if the network has no output for the class.
        verb_logits: (n, v) before softmax, averaged over segments and crops.
        noun_logits: (n, o) the same for nouns.
    """

    uids: tuple[str, ...]
    sources: tuple[str, ...]
    verb_classes: NDArray[np.int64]
    noun_classes: NDArray[np.int64]
    verb_logits: Logits
    noun_logits: Logits

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """Compute the cross-entropy (n,) of verb plus noun, in nats; infinite without an output."""
        return _cross_entropy(self.verb_logits, self.verb_classes) + _cross_entropy(self.noun_logits, self.noun_classes)

    @property
    def has_outputs(self) -> NDArray[np.bool_]:
        """Check (n,) whether the network has outputs for both the clip's verb and noun."""
        covered: NDArray[np.bool_] = (self.verb_classes < self.verb_logits.shape[1]) & (self.noun_classes < self.noun_logits.shape[1])
        return covered

    def only(self, chosen: NDArray[np.bool_]) -> "ScoredClips":
        """Select the clips where `chosen` (n,) is true, in order."""
        indices = np.flatnonzero(chosen).tolist()
        return ScoredClips(
            uids=tuple(self.uids[i] for i in indices),
            sources=tuple(self.sources[i] for i in indices),
            verb_classes=self.verb_classes[indices],
            noun_classes=self.noun_classes[indices],
            verb_logits=self.verb_logits[indices],
            noun_logits=self.noun_logits[indices],
        )


def with_nouns_given(clips: ScoredClips, vocabulary: Vocabulary, given_noun: int | None = None) -> ScoredClips:
    """Replace the noun logits of a network that cannot predict nouns.

    If no label names an object, the true noun is given with certainty: an action is then right when its verb is. Otherwise, for a network
    trained on verbs alone, every clip gets `given_noun`, which is wrong for clips with an object.
    """
    if not vocabulary.has_objects:
        return replace(clips, noun_logits=one_hot_logits(clips.noun_classes, vocabulary.num_nouns))
    if given_noun is None:
        return clips
    given = np.full(len(clips.uids), given_noun)
    return replace(clips, noun_logits=one_hot_logits(given, clips.noun_logits.shape[1], LIKELY_LOGIT))


def one_hot_logits(classes: NDArray[np.int64], num_classes: int, logit: float = CERTAIN_LOGIT) -> Logits:
    """Return logits (n, num_classes) that are `logit` at the given classes (n,) and 0 elsewhere."""
    logits = np.zeros((len(classes), num_classes), np.float32)
    logits[np.arange(len(classes)), classes] = logit
    return logits


@dataclass(frozen=True)
class Timings:
    """Scoring times without warm-up, apart from the scores, which are the same in every run.

    Attributes:
        loading_seconds, inference_seconds: (n,) per clip.
        total_seconds: wall-clock time, less than the sum of both, because clips are prefetched while others are scored.
        peak_memory_bytes: of this process by then.
    """

    loading_seconds: Sequence[float]
    inference_seconds: Sequence[float]
    total_seconds: float
    peak_memory_bytes: int


class HasUid(Protocol):
    """A clip, labelled or not."""

    @property
    def uid(self) -> str:
        """Return the clip's id."""


def score_clips(
    clips: Sequence[DatasetClip],
    load: Callable[[DatasetClip], T],
    score: Callable[[T], tuple[Logits, Logits]],
    *,
    known: Callable[[DatasetClip], tuple[Logits, Logits] | None] = lambda clip: None,
    wait: Callable[[DatasetClip], None] = lambda clip: None,
    clock: Callable[[], float] = time.perf_counter,
    by: str = "",
    measured: Timings | None = None,
) -> tuple[ScoredClips, Timings]:
    """Compute the logits of one split's clips, and combine them with the true classes.

    Args:
        clips, load, score, wait, clock, by: see `compute_logits`.
        known: returns a clip's logits if they need not be computed, else None. The first `NUM_TIMED_CLIPS` are computed nevertheless, to be timed.
        measured: times of computing these clips, if known; where all logits are known, nothing is timed.

    Raises:
        BadDataset: there are no clips.
        BadCheckpoint: a logit is not finite.
    """
    answers = {i: answer for i, clip in enumerate(clips) if (answer := known(clip)) is not None}
    if len(answers) < len(clips) or measured is None:
        answers = {i: answer for i, answer in answers.items() if i >= NUM_TIMED_CLIPS}
    missing = [i for i in range(len(clips)) if i not in answers]
    for i, answer in answers.items():
        require_finite(clips[i], *answer)
    if answers:
        log.info("%d of %d clips%s: logits computed from cached features", len(answers), len(clips), by)
    if missing or measured is None:
        verb_logits, noun_logits, measured = compute_logits([clips[i] for i in missing], load, score, wait=wait, clock=clock, by=by)
        answers.update(zip(missing, zip(verb_logits, noun_logits, strict=True), strict=True))
    return ScoredClips(
        uids=tuple(clip.uid for clip in clips),
        sources=tuple(clip.source for clip in clips),
        verb_classes=np.asarray([clip.verb_class for clip in clips], np.int64),
        noun_classes=np.asarray([clip.noun_class for clip in clips], np.int64),
        verb_logits=np.stack([answers[i][0] for i in range(len(clips))]),
        noun_logits=np.stack([answers[i][1] for i in range(len(clips))]),
    ), measured


def compute_logits(
    clips: Sequence[C],
    load: Callable[[C], T],
    score: Callable[[T], tuple[Logits, Logits]],
    *,
    wait: Callable[[C], None] = lambda clip: None,
    clock: Callable[[], float] = time.perf_counter,
    by: str = "",
) -> tuple[Logits, Logits, Timings]:
    """Score every clip, prefetching the next ones.

    Logs progress at every tenth and at least every 20 s. Memory holds the inputs of at most `NUM_PREFETCHED` + 1 clips.

    Args:
        load: loads a clip's inputs; called in a separate thread, one clip at a time.
        score: computes verb logits (v,) and noun logits (o,) from the inputs; returns them on the CPU, so that the GPU has finished.
        wait: blocks until a clip can be loaded; called before `load` in the same thread, and not part of the loading time.
        by: the network in lines of progress, such as ` with the baseline`.

    Returns:
        (n, v) verb logits, (n, o) noun logits, and the timings.

    Raises:
        BadDataset: there are no clips.
        BadCheckpoint: a logit is not finite.
    """
    if not clips:
        raise BadDataset("no clips to score: the split is empty; add labelled videos or give the split a larger share")
    wait(clips[0])
    # Not measured: the first call compiles, allocates and fills caches.
    verb, noun = score(load(clips[0]))
    verb_logits = np.empty((len(clips), verb.size), np.float32)
    noun_logits = np.empty((len(clips), noun.size), np.float32)
    loading_seconds, inference_seconds = np.empty(len(clips)), np.empty(len(clips))

    started = scored = clock()
    for i, result in enumerate(each_scored(clips, load, score, wait=wait, clock=clock, by=by)):
        verb_logits[i], noun_logits[i] = result.answer
        loading_seconds[i], inference_seconds[i], scored = result.loading_seconds, result.inference_seconds, result.scored
        require_finite(result.clip, *result.answer)
    return verb_logits, noun_logits, Timings(loading_seconds.tolist(), inference_seconds.tolist(), scored - started, peak_memory_bytes())


@dataclass(frozen=True)
class Scored(Generic[C, A]):
    """One clip and its answer; `scored` is the clock's time when the answer was ready."""

    clip: C
    answer: A
    loading_seconds: float
    inference_seconds: float
    scored: float


def each_scored(
    clips: Sequence[C],
    load: Callable[[C], T],
    score: Callable[[T], A],
    *,
    wait: Callable[[C], None] = lambda clip: None,
    clock: Callable[[], float] = time.perf_counter,
    by: str = "",
) -> Generator[Scored[C, A]]:
    """Yield each scored clip while the next ones are prefetched, as in `compute_logits`."""

    def timed(clip: C) -> tuple[T, float]:
        wait(clip)
        before = clock()
        return load(clip), clock() - before

    started = last_report = clock()
    with closing(_prefetch(timed, clips)) as loaded:
        for i, (inputs, seconds) in enumerate(loaded):
            before = clock()
            answer = score(inputs)
            scored = clock()
            yield Scored(clips[i], answer, seconds, scored - before, scored)
            done = i + 1
            if done * 10 // len(clips) > i * 10 // len(clips) or scored - last_report >= SECONDS_BETWEEN_REPORTS:
                last_report = scored
                log.info("%d/%d clips scored%s, %.0f s left", done, len(clips), by, (scored - started) / done * (len(clips) - done))


def require_finite(clip: HasUid, *logits: Logits) -> None:
    """Raise `BadCheckpoint` if a logit is not finite."""
    if not all(np.isfinite(head).all() for head in logits):
        raise BadCheckpoint(
            f"clip {clip.uid}: the network's logits are not finite; train again with a lower learning rate or 32-bit precision"
        )


def _prefetch(load: Callable[[C], T], clips: Sequence[C]) -> Generator[T]:
    """Yield each clip's inputs in order; a thread loads up to `NUM_PREFETCHED` ahead."""
    waiting: deque[Future[T]] = deque()
    loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
    try:
        for clip in clips:
            waiting.append(loader.submit(load, clip))
            if len(waiting) > NUM_PREFETCHED:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # When the consumer stops early, wait only for the clip that is being loaded.
        loader.shutdown(cancel_futures=True)


def _cross_entropy(logits: Logits, classes: NDArray[np.int64]) -> NDArray[np.float64]:
    log_probabilities: NDArray[np.float64] = log_softmax(logits.astype(np.float64), axis=1)
    losses = np.full(len(classes), np.inf)
    rows = np.flatnonzero(classes < logits.shape[1])
    losses[rows] = -log_probabilities[rows, classes[rows]]
    return losses


def summarise_latency(timings: Timings, num_frames: int) -> Latency:
    """Compute latency and speed, where the network sees `num_frames` frames or flow fields per clip."""
    loading = np.percentile(timings.loading_seconds, (50, 90))
    inference = np.percentile(timings.inference_seconds, (50, 90))
    return Latency(
        num_clips=len(timings.loading_seconds),
        loading_median_seconds=float(loading[0]),
        loading_p90_seconds=float(loading[1]),
        inference_median_seconds=float(inference[0]),
        inference_p90_seconds=float(inference[1]),
        # As in the original experiment, whose 4.28 FPS is 8 / (0.018 s + 1.850 s).
        fps=float(num_frames / (loading[0] + inference[0])),
        clips_per_second=len(timings.loading_seconds) / timings.total_seconds,
    )


def peak_memory_bytes() -> int:
    """Return this process's peak main memory so far, without GPU memory."""
    status = Path("/proc/self/status")
    # On Linux ru_maxrss is inherited from the parent, so a small step could report the memory of a large runner.
    if status.exists() and (match := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(match[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
