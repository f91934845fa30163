"""Builders of clips and labels, for the dataset room's tests."""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from types import SimpleNamespace

import pytest

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.label_clips import Labelling, label_clips
from tasks.data.labels.video_names import KnownVideos, VideoIndex
from tasks.data.labels.vocabulary import FIRST_OWN_ID, OwnClasses, WordTarget
from tasks.options import LabelOptions
from tasks.store.records.dataset import LabelledClip
from tests.data.labels.records import actions, clip_record, reasons, video_of

NONE_OWN = OwnClasses()
NO_VIDEOS = KnownVideos(VideoIndex([], {}), {})


def script(path, text, interpreter="/bin/sh"):
    """Write a program."""
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def without_aac(ffmpeg, tmp_path):
    """An ffmpeg that leaves a file behind and fails where it encodes sound."""
    fails = 'case "$*" in *aac*) touch 0007.mp4; echo "[error] no sound" >&2; exit 1;; esac'
    return script(tmp_path / "no-aac", f'{fails}\nexec "{ffmpeg}" "$@"')


@cache
def _clip(name: str, index: int = 0):
    return clip_record(video_of(name), index)


@cache
def _labelled(source: str, action: str | None, index: int = 0) -> LabelledClip:
    verb, noun = action.split() if action else (None, None)
    classes = {"verb_class": 1 if verb else None, "noun_class": 1 if noun else None, "origin": "labels.csv:2" if verb else None}
    return LabelledClip(clip=_clip(source, index), names=(f"{source}.mp4",), source=source, verb=verb, noun=noun, **classes)


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
        files: Mapping[str, str | bytes] | Sequence[tuple[str, str]] = (),
        min_overlap: float = 0.25,
        own: OwnClasses = NONE_OWN,
        fps: float = 30,
        nothing_share: float = 0,
        touched: Set[str] = frozenset(),
    ) -> Labelling:
        clips = [_clip(name, index) for name, num_clips in videos.items() for index in range(num_clips)]
        names = {video_of(name): tuple(name.split("|")) for name in videos}
        pairs = files.items() if isinstance(files, Mapping) else files
        given = [AnnotationFile(name, text if isinstance(text, bytes) else text.encode()) for name, text in pairs]
        options = LabelOptions(min_overlap=min_overlap, nothing_share=nothing_share)
        labelling = label_clips(clips, names, given, options, own, dict.fromkeys(names, fps), touched)
        return labelling.with_ids(numbered(own, labelling.words_without_id))

    return run


@pytest.fixture(scope="session")
def read(label):
    """The labels that files give the clips of `videos` (a number: clips of `a.mp4`), and why lines are refused."""

    def run(files, videos=1, **options):
        labelling = label({"a.mp4": videos} if isinstance(videos, int) else videos, files, **options)
        return actions(labelling), reasons(labelling)

    return run
