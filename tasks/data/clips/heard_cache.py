"""Cache the sound of clips on this machine, as networks that hear need it. Does not import torch."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.clip_properties import CachedSound
from tasks.data.clips.stored_sound import MakeDescriber, complete_sound, describe_sound, read_stored
from tasks.disk import work_folder
from tasks.errors import BadVideo
from tasks.learn.inputs.clip_files import recipe_of, rows_of
from tasks.learn.networks.sound_recipe import SPECTRA_ALONE, VERSION, sound_recipe_of
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Modality
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.inputs import SoundRecipe
from tasks.wording import some

log = logging.getLogger("retake")

NUM_FETCHERS = 8


def cache_heard(
    store: Store, clips: Sequence[CachedSound], spec: NetworkSpec, root: Path, describer: MakeDescriber | None
) -> dict[str, Path]:
    """Cache the sound of each clip as this network hears it; see `cache_sound`."""
    return cache_sound(store, clips, spec.modality, recipe_of(spec), root, describer)


def cache_sound(
    store: Store, clips: Sequence[CachedSound], modality: Modality, recipe: SoundRecipe, root: Path, describer: MakeDescriber | None
) -> dict[str, Path]:
    """Cache the sound of each clip under `root`, as `tasks.learn.inputs.clip_files.Rows`; return paths by uid.

    Sound that is not in the store is described now, by `describer`. A clip in which there is nothing to hear has zeros.

    Raises:
        BadVideo: a clip cannot be read.
        BadConfiguration: sound is missing, and there is no describer, or the network that it needs is not installed here.
    """
    folder = root / "sound" / sound_recipe_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {clip.uid: folder / f"{clip.sha256}-{modality.value}-{VERSION}.npy" for clip in clips}
    missing = [clip for clip in clips if not _is_whole(paths[clip.uid])]
    if not missing:
        return paths
    complete_sound(store, missing, recipe, describer)
    with work_folder(folder) as work, ThreadPoolExecutor(NUM_FETCHERS, thread_name_prefix="sound") as pool:
        jobs = [
            pool.submit(_fetch, store, clip, modality, recipe, describer, work / paths[clip.uid].name, paths[clip.uid]) for clip in missing
        ]
        for job in jobs:
            job.result()
    return paths


def leave_out_unheard(clips: Sequence[CachedSound], paths: dict[str, Path]) -> dict[str, Path]:
    """Leave out the clips in which there is nothing to hear, for a training; name and count them.

    Raises:
        BadVideo: no clip is left.
    """
    unheard = {clip.uid for clip in clips if not _load(paths[clip.uid]).any()}
    if len(unheard) == len(clips):
        raise BadVideo("no training clip has sound; choose an input other than sound or spectrogram, or add videos with sound")
    if unheard:
        log.warning("%d of %d training clips have nothing to hear and are left out: %s", len(unheard), len(clips), some(sorted(unheard)))
    return {uid: path for uid, path in paths.items() if uid not in unheard}


def spectrograms(store: Store, clips: Sequence[CachedSound], recipe: SoundRecipe = SPECTRA_ALONE) -> dict[str, NDArray[np.uint8]]:
    """Load the spectrogram of each clip for people, uint8 (s, 128), by uid.

    Raises:
        BadConfiguration: the sound of a clip is not described.
    """
    return {uid: _load(path) for uid, path in cache_sound(store, clips, Modality.SPECTROGRAM, recipe, cache_root(), None).items()}


def cache_root() -> Path:
    """Return the folder of this machine's cache of frames and sound."""
    return load(MachineSettings).cache_dir.expanduser() / "frames"


def _fetch(
    store: Store, clip: CachedSound, modality: Modality, recipe: SoundRecipe, describer: MakeDescriber | None, made: Path, path: Path
) -> None:
    try:
        sound = read_stored(store, clip, recipe)
    except BadVideo as error:
        if describer is None:
            raise
        log.warning("%s; describing this sound again", error)
        describe_sound(store, [clip], describer(recipe))
        sound = read_stored(store, clip, recipe)
    np.save(made, rows_of(sound, modality), allow_pickle=False)
    made.replace(path)


def _load(path: Path) -> NDArray[np.uint8]:
    rows: NDArray[np.uint8] = np.load(path, allow_pickle=False)
    return rows


def _is_whole(path: Path) -> bool:
    try:
        return bool(len(np.load(path, mmap_mode="r", allow_pickle=False)))
    except (OSError, ValueError, EOFError):
        return False
