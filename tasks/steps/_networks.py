"""Networks and frames as steps need them: fetched from the store into this machine's cache."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import BadCheckpoint
from tasks.model.checkpoints import ClassNames, Saved, load
from tasks.model.sampling import middle_frames
from tasks.results.dataset import DatasetClip, Vocabulary
from tasks.settings import MachineSettings
from tasks.settings import load as load_settings
from tasks.steps._step import log
from tasks.storage import Store
from tasks.video.cache import CacheItem, cache_frames

NUM_VERBS = 125
NUM_NOUNS = 352
SHORT_SIDE = 256


def class_names(vocabulary: Vocabulary) -> ClassNames:
    """A name for every logit: the vocabulary's, else `verb-7` or `noun-7`."""
    verbs = {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(
        verbs=tuple(verbs.get(i, f"verb-{i}") for i in range(NUM_VERBS)),
        nouns=tuple(nouns.get(i, f"noun-{i}") for i in range(NUM_NOUNS)),
    )


def file_sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_network(store: Store, uri: str, sha256: str, folder: Path) -> Saved:
    """A checkpoint of ours from the store, verified by its hash.

    Raises:
        MissingObject: there is none.
        BadCheckpoint: its content is not what was recorded.
    """
    path = folder / "network.ckpt"
    store.read_file(uri, path)
    if file_sha256(path) != sha256:
        raise BadCheckpoint(f"{uri} is not the file that was recorded (sha256 {sha256[:8]}…); run the step that writes it again")
    return load(path)


def cache_test_frames(store: Store, clips: Sequence[DatasetClip], num_segments: int) -> dict[str, Path]:
    """By uid, the cached array (t, h, w, 3) of the frames that a test looks at."""
    return _cache(store, clips, [tuple(middle_frames(clip.num_frames, num_segments)) for clip in clips])


def cache_train_frames(store: Store, clips: Sequence[DatasetClip], frame_step: int) -> dict[str, Path]:
    """By uid, the cached array (t, h, w, 3) of every `frame_step`-th frame, from which training draws."""
    return _cache(store, clips, [tuple(range(0, clip.num_frames, frame_step)) for clip in clips])


def _cache(store: Store, clips: Sequence[DatasetClip], frames: Sequence[tuple[int, ...]]) -> dict[str, Path]:
    machine = load_settings(MachineSettings)
    items = [
        CacheItem(key=clip.uri, sha256=clip.sha256, width=clip.width, height=clip.height, indices=indices)
        for clip, indices in zip(clips, frames, strict=True)
    ]
    paths = cache_frames(
        items,
        machine.cache_dir.expanduser() / "frames",
        short_side=SHORT_SIDE,
        fetch=store.read_file,
        num_processes=machine.num_processes,
        progress=_report,
    )
    return {clip.uid: path for clip, path in zip(clips, paths, strict=True)}


def _report(num_done: int, num_all: int) -> None:
    if num_done == num_all or num_done % max(1, num_all // 10) == 0:
        log.info("frames cached of %d of %d clips", num_done, num_all)
