"""Scored clips made by seed, scored windows of films, and labels of intervals."""

import numpy as np

from tasks.predict.scored_video import Names, ScoredWriter, Window
from tasks.store.records.prediction import KnownInterval, KnownLabels, ScoredVideo
from tasks.store.records.video import Interval
from tests.data.labels.records import clip_record

NAMES = Names({0: "take", 1: "put"}, {20: "=bag", 26: "meat"})
VIDEOS = tuple(f"{n:064x}" for n in range(3))


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


def write_windows(folder, video, said, roles):
    """A video of 24 s in windows every 2 s, of which `said(second)` gives verb, noun and how sure the networks are."""
    path = folder / f"{video}.stored"
    with ScoredWriter(path) as writer:
        for start in range(0, 17, 2):
            verb, noun, sure = said(start + 4)
            verbs, nouns = np.zeros(125, np.float32), np.zeros(352, np.float32)
            verbs[verb] = nouns[noun] = sure
            window = Window(f"{video[:12]}_{start}", "" if start % 8 else "s3://clip", start, start + 8)
            writer.add(window, dict.fromkeys(roles, (verbs, nouns)), np.empty(0, np.float32), None)
    return ScoredVideo(video=video, name="é <1>.mp4", num_clips=3, scored_uri="", windows_uri=str(path))


def said(second):
    """Take a bag up to 12 s, then put meat, less surely."""
    return (0, 20, 12) if second < 12 else (1, 26, 5)


def labelled(video, *intervals):
    return [KnownInterval(video=video, start_seconds=a, stop_seconds=b, verb_class=verb, noun_class=noun) for a, b, verb, noun in intervals]


def known(intervals, covered=None):
    """Labels of intervals; `covered` has, by video, the starts and stops of labelled time."""
    times = covered and {video: tuple(Interval(start_seconds=a, stop_seconds=b) for a, b in own) for video, own in covered.items()}
    return KnownLabels(labels=(), intervals=tuple(intervals), covered=times)
