"""Runs a network over the clips of a split, one clip at a time while the next ones load, and measures how long each takes.

Legend: n clips, v verbs, o nouns.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from tasks.errors import BadCheckpoint, BadDataset
from tasks.results.dataset import DatasetClip, Vocabulary

Logits = NDArray[np.float32]
T = TypeVar("T")
C = TypeVar("C", bound="HasUid")
A = TypeVar("A")

SECONDS_BETWEEN_REPORTS = 20

NUM_AHEAD = 4
"""Clips that wait, loaded, for the one that is scored: what bounds memory, whatever the number of clips."""

NUM_TIMED_CLIPS = 8
"""Clips of a split that are always scored, and timed, however many answers are known beforehand."""

CERTAIN = 1e4
"""A logit beside zeros, whose class is certain at any temperature within reason."""

SURE = 20.0
"""Likewise where the answer may be wrong: a mistake then costs a loss that can stand in a mean."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredClips:
    """What one network answered on the clips of one split, in the order they were given.

    Attributes:
        uids, sources: (n,) the clips and the source videos they come from.
        verb_classes, noun_classes: (n,) true class ids, positions in the logits, or beyond them where the network has no output for a class.
        verb_logits: (n, v) before softmax, averaged over segments and crops.
        noun_logits: (n, o) likewise.
    """

    uids: tuple[str, ...]
    sources: tuple[str, ...]
    verb_classes: NDArray[np.int64]
    noun_classes: NDArray[np.int64]
    verb_logits: Logits
    noun_logits: Logits

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """(n,) cross-entropy of the verb plus cross-entropy of the noun, in nats: the loss of training. Infinite without an output."""
        return _cross_entropy(self.verb_logits, self.verb_classes) + _cross_entropy(self.noun_logits, self.noun_classes)

    @property
    def has_outputs(self) -> NDArray[np.bool_]:
        """(n,) whether the network has an output for the clip's verb and one for its noun; to it other classes are impossible."""
        found: NDArray[np.bool_] = (self.verb_classes < self.verb_logits.shape[1]) & (self.noun_classes < self.noun_logits.shape[1])
        return found

    def only(self, chosen: NDArray[np.bool_]) -> "ScoredClips":
        """The clips that are `chosen` (n,), in their order."""
        places = np.flatnonzero(chosen).tolist()
        return ScoredClips(
            uids=tuple(self.uids[i] for i in places),
            sources=tuple(self.sources[i] for i in places),
            verb_classes=self.verb_classes[places],
            noun_classes=self.noun_classes[places],
            verb_logits=self.verb_logits[places],
            noun_logits=self.noun_logits[places],
        )


def with_nouns_given(clips: ScoredClips, vocabulary: Vocabulary, given_noun: int | None = None) -> ScoredClips:
    """Put given nouns in the place of answers that mean nothing.

    Where no label names an object, it is the true one, for certain: an action is then right when its verb is. Else it is `given_noun`, that of a
    network that was taught verbs alone; of clips with an object it is wrong.
    """
    if not vocabulary.has_objects:
        return replace(clips, noun_logits=certain(clips.noun_classes, vocabulary.num_nouns))
    if given_noun is None:
        return clips
    given = np.full(len(clips.uids), given_noun)
    return replace(clips, noun_logits=certain(given, clips.noun_logits.shape[1], SURE))


def certain(classes: NDArray[np.int64], num_classes: int, logit: float = CERTAIN) -> Logits:
    """Logits (n, num_classes) that leave no doubt of the classes (n,)."""
    logits = np.zeros((len(classes), num_classes), np.float32)
    logits[np.arange(len(classes)), classes] = logit
    return logits


@dataclass(frozen=True)
class Timings:
    """How long it took, warm-up left out. Apart from the scores, which do not vary from run to run.

    Attributes:
        loading_seconds, inference_seconds: (n,) of each clip.
        total_seconds: of all, which is less than their sum: the next clips load while one is scored.
    """

    loading_seconds: NDArray[np.float64]
    inference_seconds: NDArray[np.float64]
    total_seconds: float


class HasUid(Protocol):
    """A clip, labelled or not."""

    @property
    def uid(self) -> str:
        """Its name."""


def score_clips(
    clips: Sequence[DatasetClip],
    load: Callable[[DatasetClip], T],
    score: Callable[[T], tuple[Logits, Logits]],
    *,
    known: Callable[[DatasetClip], tuple[Logits, Logits] | None] = lambda clip: None,
    wait: Callable[[DatasetClip], None] = lambda clip: None,
    num_warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[ScoredClips, Timings]:
    """`compute_logits` of the clips of one split, with what is true of them.

    Args:
        clips, load, score, wait, num_warmup, clock: as of `compute_logits`.
        known: gives the logits of a clip that need not be scored, or None; not asked for the first `NUM_TIMED_CLIPS`, which the timings are of.

    Raises:
        BadDataset: there are no clips.
        BadCheckpoint: a logit is not a finite number.
    """
    answers = {i: answer for i, clip in enumerate(clips) if i >= NUM_TIMED_CLIPS and (answer := known(clip)) is not None}
    missing = [i for i in range(len(clips)) if i not in answers]
    for i, answer in answers.items():
        require_finite(clips[i], *answer)
    if answers:
        log.info("%d of %d clips: the heads answered from features that another network's scoring kept", len(answers), len(clips))
    verb_logits, noun_logits, timings = compute_logits(
        [clips[i] for i in missing], load, score, wait=wait, num_warmup=num_warmup, clock=clock
    )
    answers.update(zip(missing, zip(verb_logits, noun_logits, strict=True), strict=True))
    return ScoredClips(
        uids=tuple(clip.uid for clip in clips),
        sources=tuple(clip.source for clip in clips),
        verb_classes=np.asarray([clip.verb_class for clip in clips], np.int64),
        noun_classes=np.asarray([clip.noun_class for clip in clips], np.int64),
        verb_logits=np.stack([answers[i][0] for i in range(len(clips))]),
        noun_logits=np.stack([answers[i][1] for i in range(len(clips))]),
    ), timings


def compute_logits(
    clips: Sequence[C],
    load: Callable[[C], T],
    score: Callable[[T], tuple[Logits, Logits]],
    *,
    wait: Callable[[C], None] = lambda clip: None,
    num_warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Logits, Logits, Timings]:
    """Score every clip, logging progress every tenth of the way and every 20 s. Memory holds what `NUM_AHEAD` clips load, and one more.

    Args:
        clips: the clips.
        load: gives what is scored of a clip; called in a thread of its own, for one clip after the other.
        score: gives verb logits (v,) and noun logits (o,) of it, on the CPU, so that a GPU has finished when it returns.
        wait: returns when a clip can be loaded; called before `load` in the same thread, and not part of the loading time.
        num_warmup: calls on the first clip, at least one, that are not measured: the first compiles, allocates and fills caches.
        clock: seconds that only go up.

    Returns:
        (n, v) verb logits, (n, o) noun logits, and how long it took.

    Raises:
        BadDataset: there are no clips.
        BadCheckpoint: a logit is not a finite number.
    """
    if not clips:
        raise BadDataset("no clips to score: the split is empty; add labelled videos or give the split a larger share")
    wait(clips[0])
    first = load(clips[0])
    for _ in range(num_warmup):
        verb, noun = score(first)
    verb_logits = np.empty((len(clips), verb.size), np.float32)
    noun_logits = np.empty((len(clips), noun.size), np.float32)
    loading_seconds, inference_seconds = np.empty(len(clips)), np.empty(len(clips))

    started = scored = clock()
    for i, one in enumerate(each_scored(clips, load, score, wait=wait, clock=clock)):
        verb_logits[i], noun_logits[i] = one.answer
        loading_seconds[i], inference_seconds[i], scored = one.loading_seconds, one.inference_seconds, one.scored
        require_finite(one.clip, *one.answer)
    return verb_logits, noun_logits, Timings(loading_seconds, inference_seconds, scored - started)


@dataclass(frozen=True)
class Scored(Generic[C, A]):
    """One clip and its answer; `scored` is the clock's time when it was there."""

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
) -> Generator[Scored[C, A]]:
    """Score one clip after the other while the next ones load; arguments, memory and progress are those of `compute_logits`."""

    def timed(clip: C) -> tuple[T, float]:
        wait(clip)
        before = clock()
        return load(clip), clock() - before

    started = last_report = clock()
    with closing(_ahead(timed, clips)) as loaded:
        for i, (inputs, seconds) in enumerate(loaded):
            before = clock()
            answer = score(inputs)
            scored = clock()
            yield Scored(clips[i], answer, seconds, scored - before, scored)
            done = i + 1
            if done * 10 // len(clips) > i * 10 // len(clips) or scored - last_report >= SECONDS_BETWEEN_REPORTS:
                last_report = scored
                log.info("%d/%d clips scored, %.0f s left", done, len(clips), (scored - started) / done * (len(clips) - done))


def require_finite(clip: HasUid, *logits: Logits) -> None:
    """Refuse what no answer can be read from.

    Raises:
        BadCheckpoint: a logit is not a finite number.
    """
    if not all(np.isfinite(one).all() for one in logits):
        raise BadCheckpoint(
            f"clip {clip.uid}: the network's logits are not finite; train again with a lower learning rate or 32-bit precision"
        )


def _ahead(load: Callable[[C], T], clips: Sequence[C]) -> Generator[T]:
    """What `load` gives for each clip, in their order; a thread is up to `NUM_AHEAD` clips ahead of what was taken."""
    waiting: deque[Future[T]] = deque()
    loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
    try:
        for clip in clips:
            waiting.append(loader.submit(load, clip))
            if len(waiting) > NUM_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # One who stops early waits for the clip that is being loaded, and for no other.
        loader.shutdown(cancel_futures=True)


def _cross_entropy(logits: Logits, classes: NDArray[np.int64]) -> NDArray[np.float64]:
    log_probabilities: NDArray[np.float64] = log_softmax(logits.astype(np.float64), axis=1)
    found = np.full(len(classes), np.inf)
    rows = np.flatnonzero(classes < logits.shape[1])
    found[rows] = -log_probabilities[rows, classes[rows]]
    return found
