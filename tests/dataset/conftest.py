"""Builders of clips and labels, for the dataset room's tests."""

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from types import SimpleNamespace

import pytest

from tasks.dataset.labels import Labelling, label_clips
from tasks.dataset.places import KnownVideos, Places
from tasks.dataset.rows import AnnotationFile
from tasks.dataset.vocabulary import FIRST_OWN_ID, OwnClasses, WordTarget
from tasks.media.clips import clip_uid
from tasks.options import LabelOptions
from tasks.results.dataset import LabelledClip
from tasks.results.video import ClipRecord

NONE_OWN = OwnClasses()
NO_VIDEOS = KnownVideos(Places([], {}), {})


def _clip(name: str, index: int = 0) -> ClipRecord:
    video = hashlib.sha256(name.encode()).hexdigest()
    return ClipRecord(
        uid=clip_uid(video, index * 8, index * 8 + 8),
        video=video,
        index=index,
        uri=f"s3://retake/clips/{video}/recipe/{index:04d}.mp4",
        sha256=hashlib.sha256(f"{video}{index}".encode()).hexdigest(),
        size_bytes=1000,
        start_seconds=index * 8,
        stop_seconds=index * 8 + 8,
        num_frames=240,
        width=320,
        height=180,
        has_audio=True,
    )


def _labelled(source: str, action: str | None, index: int = 0) -> LabelledClip:
    verb, noun = action.split() if action else (None, None)
    return LabelledClip(
        clip=_clip(source, index),
        names=(f"{source}.mp4",),
        source=source,
        verb=verb,
        noun=noun,
        verb_class=1 if verb else None,
        noun_class=1 if noun else None,
        origin="labels.csv:2" if verb else None,
    )


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """`make.clip(video_name, index)`: 8 s each; `make.labelled(source, action, index)`: a clip of a video named as its source."""
    return SimpleNamespace(clip=_clip, labelled=_labelled)


def numbered(own: OwnClasses, words: Mapping[WordTarget, Sequence[str]]) -> OwnClasses:
    """As the store numbers words."""

    def ids(target: WordTarget) -> dict[str, int]:
        first = max([FIRST_OWN_ID[target] - 1, *own.of(target).values()]) + 1
        return {**own.of(target), **{word: first + place for place, word in enumerate(words[target])}}

    return OwnClasses(ids("verb"), ids("noun"))


@pytest.fixture(scope="session")
def label() -> Callable[..., Labelling]:
    """Labels videos (name, or names separated by `|`, to number of 8 s clips) by files (name to content), and numbers new words."""

    def run(
        videos: dict[str, int],
        files: dict[str, str | bytes] | None = None,
        min_overlap: float = 0.25,
        own: OwnClasses = NONE_OWN,
        fps: float = 30,
        nothing_share: float = 0,
        touched: Set[str] = frozenset(),
    ) -> Labelling:
        clips = [_clip(name, index) for name, num_clips in videos.items() for index in range(num_clips)]
        names = {_clip(name).video: tuple(name.split("|")) for name in videos}
        given = [AnnotationFile(name, text if isinstance(text, bytes) else text.encode()) for name, text in (files or {}).items()]
        labelling = label_clips(
            clips, names, given, LabelOptions(min_overlap=min_overlap, nothing_share=nothing_share), own, dict.fromkeys(names, fps), touched
        )
        return labelling.with_ids(numbered(own, labelling.words_without_id))

    return run
