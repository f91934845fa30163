"""The same clips in another order, other answers to the same clips, and the classes they are of."""

from dataclasses import replace

import numpy as np

from tasks.results.dataset import ClassRef, Vocabulary


def reordered(clips, order):
    by_clip = ("verb_classes", "noun_classes", "verb_logits", "noun_logits")
    names = {field: tuple(getattr(clips, field)[i] for i in order) for field in ("uids", "sources")}
    return replace(clips, **names, **{field: getattr(clips, field)[order] for field in by_clip})


def shuffled(clips, seed):
    return reordered(clips, np.random.default_rng(seed).permutation(len(clips.uids)))


def about(ours, theirs):
    """A network's answers to `theirs`, as if they were our clips."""
    return replace(theirs, **{field: getattr(ours, field) for field in ("uids", "sources", "verb_classes", "noun_classes")})


def vocabulary_of(verbs, nouns):
    return Vocabulary(
        **{
            target: tuple(ClassRef(id=class_id, name=name) for class_id, name in names.items())
            for target, names in (("verbs", verbs), ("nouns", nouns))
        }
    )
