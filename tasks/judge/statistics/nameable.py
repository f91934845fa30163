"""Compare the networks on the clips whose classes all of them can predict."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.metrics import measure
from tasks.judge.statistics.paired import Opponent, differences
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import NO_OBJECT, ClassRef, Vocabulary
from tasks.store.records.evaluation import EvaluateResult, NameableClips, NetworkScore, UnnamedClips
from tasks.store.records.record import ModelRole

WITHOUT_OBJECT = "no object"
OPPONENTS: tuple[Opponent, ...] = ("baseline", "previous", "champion")


def nameable_clips(
    results: Sequence[EvaluateResult], scored: Mapping[ModelRole, ScoredClips], vocabulary: Vocabulary, *, num_resamples: int = 2000
) -> NameableClips | None:
    """Compare the networks on clips that all can name.

    None if all can name every clip.

    Args:
        results: each network's results on the deciding split.
        scored: each network's scored clips of that split.
        vocabulary: names of the classes.
        num_resamples: bootstrap draws.

    Raises:
        BadInput: the networks were not scored on the same clips.
    """
    can_name = {result.model: _can_name(scored[result.model], result) for result in results}
    unnamed = tuple(
        UnnamedClips(
            model=result.model,
            num_clips=int((~can_name[result.model]).sum()),
            classes=(*(f"verb {verb.name}" for verb in result.unknown_verbs), *map(_noun, result.unknown_nouns)),
        )
        for result in results
        if not can_name[result.model].all()
    )
    if not unnamed:
        return None
    by_all = np.logical_and.reduce(list(can_name.values()))
    split, num_all_clips = results[0].split, results[0].num_clips
    left = {model: clips.only(by_all) for model, clips in scored.items()}
    sources = left["fine-tuned"].sources
    if not by_all.any():
        return NameableClips(
            split=split, num_all_clips=num_all_clips, num_clips=0, num_sources=0, unnamed=unnamed, scores=(), differences=()
        )
    scores = []
    for result in results:
        answers = answers_of(left[result.model], vocabulary)
        for target in vocabulary.targets:
            found = measure(answers[target], sources)
            scores.append(NetworkScore(model=result.model, target=target, top1=found.top1, top1_interval=found.top1_interval))
    opponents: dict[Opponent, ScoredClips] = {model: left[model] for model in OPPONENTS if model in left}
    return NameableClips(
        split=split,
        num_all_clips=num_all_clips,
        num_clips=len(sources),
        num_sources=len(set(sources)),
        unnamed=unnamed,
        scores=tuple(scores),
        differences=differences(left["fine-tuned"], opponents, vocabulary, num_resamples=num_resamples),
    )


def _can_name(clips: ScoredClips, result: EvaluateResult) -> NDArray[np.bool_]:
    """Check for each clip (n,) whether the network can name its verb and noun."""
    verbs, nouns = ([one.id for one in unknown] for unknown in (result.unknown_verbs, result.unknown_nouns))
    return ~(np.isin(clips.verb_classes, verbs) | np.isin(clips.noun_classes, nouns))


def _noun(noun: ClassRef) -> str:
    return WITHOUT_OBJECT if noun.name == NO_OBJECT else f"noun {noun.name}"
