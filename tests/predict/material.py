"""Scored clips made by seed."""

import numpy as np

from tasks.predict.scored import ScoredWriter
from tests.data.labels.records import clip_record


def clip(number, video="0" * 64):
    """The clip of the `number`-th 8 s."""
    uid = f"{video[:12]}_{8000 * number:09d}-{8000 * number + 8000:09d}"
    return clip_record(video, number, uid=uid)


def write_scored(path, num_clips, seed=0, roles=("model", "against"), num_features=16, sizes=None):
    """A file of both networks' answers, or of one's; the logits and features in it. `sizes` has networks of other sizes than EPIC's."""
    rng = np.random.default_rng(seed)
    logits = {
        role: tuple(rng.normal(0, 3.0, (num_clips, size)).astype(np.float32) for size in (sizes or {}).get(role, (125, 352)))
        for role in roles
    }
    features = rng.random((num_clips, num_features)).astype(np.float32)
    with ScoredWriter(path) as writer:
        for i in range(num_clips):
            own = {role: (verbs[i], nouns[i]) for role, (verbs, nouns) in logits.items()}
            writer.add(clip(i, f"{seed:064x}"), own, features[i], float(rng.random()))
    return logits, features
