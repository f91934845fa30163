"""Alter the labels of some training clips, to study how long trainings behave."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from tasks.errors import BadDataset
from tasks.learn.data import CachedClip


def with_label_noise(clips: Sequence[CachedClip], share: float, seed: int) -> list[CachedClip]:
    """Give a share of the clips the verb and noun of another action.

    The other action is drawn with equal chances from those of `clips`, so a clip may keep its verb or its noun, but never both. Which clips
    are altered, and how, follows from the seed, the names of the frames files and the set of actions alone: it is the same in every epoch,
    order and process. Symmetric noise on a fixed share of the labels, as in Nakkiran et al. 2019, arXiv 1912.02292.

    Args:
        clips: all training clips.
        share: from 0 to 1; rounded to whole clips.
        seed: of the training.

    Raises:
        BadDataset: all clips have one action, so there is no wrong one.
    """
    actions = sorted({(clip.verb, clip.noun) for clip in clips})
    num_altered = round(share * len(clips))
    if num_altered and len(actions) < 2:
        raise BadDataset("label_noise needs clips of two actions or more in train; label more clips, or set it to 0")
    altered = set(sorted(range(len(clips)), key=lambda i: _draw("clip", clips[i], seed))[:num_altered])
    return [_altered(clip, actions, seed) if i in altered else clip for i, clip in enumerate(clips)]


def _altered(clip: CachedClip, actions: Sequence[tuple[int, int]], seed: int) -> CachedClip:
    others = [action for action in actions if action != (clip.verb, clip.noun)]
    verb, noun = others[_draw("action", clip, seed) % len(others)]
    return replace(clip, verb=verb, noun=noun)


def _draw(purpose: str, clip: CachedClip, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed} {clip.frames.stem}".encode()).digest()[:8], "big")
