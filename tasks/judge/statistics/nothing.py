"""Keep clips in which nothing happens apart from those with an action.

Legend: n clips.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.answers import rank
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import NothingScores


def with_actions(clips: ScoredClips, vocabulary: Vocabulary) -> ScoredClips:
    """Select the clips with an action: every score of verbs, nouns and actions is of these alone.

    A frequent and easy class `nothing` would otherwise raise them.
    """
    return clips if vocabulary.nothing_verb is None else clips.only(clips.verb_classes != vocabulary.nothing_verb)


def nothing_scores(clips: ScoredClips, vocabulary: Vocabulary) -> NothingScores | None:
    """Measure how often a network rightly and wrongly says that nothing happens; None if no label says it.

    A network says so where `nothing` is its best verb.

    Args:
        clips: all clips of a split; at least one has an action.
        vocabulary: names of the classes.
    """
    if vocabulary.nothing_verb is None:
        return None
    sources = np.asarray(clips.sources)
    says_nothing = rank(clips.verb_logits, 1)[:, 0] == vocabulary.nothing_verb
    is_nothing = clips.verb_classes == vocabulary.nothing_verb
    recognised, alarms = says_nothing[is_nothing], says_nothing[~is_nothing]
    return NothingScores(
        num_clips=len(recognised),
        num_sources=len(np.unique(sources[is_nothing])),
        num_recognised=int(recognised.sum()),
        recall=_share(recognised) if len(recognised) else None,
        recall_interval=top1_interval(recognised, sources[is_nothing].tolist()) if len(recognised) else None,
        num_action_clips=len(alarms),
        num_false_alarms=int(alarms.sum()),
        false_alarms=_share(alarms),
        false_alarms_interval=top1_interval(alarms, sources[~is_nothing].tolist()),
    )


def _share(found: NDArray[np.bool_]) -> float:
    return float(found.mean())
