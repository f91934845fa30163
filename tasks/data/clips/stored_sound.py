"""Keep the described sound of each clip beside it in the store.

Steps pass the function that loads the networks for it.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.clip_properties import HeardClip
from tasks.data.video import sound as track
from tasks.errors import BadConfiguration, BadVideo, MissingObject
from tasks.learn.inputs.clip_files import SOUND_SUFFIX, Sound, read_sound, write_sound
from tasks.learn.networks.sound_recipe import sound_recipe_of
from tasks.store.layout import folders_of, sound_note_of_clip, sound_of_clip
from tasks.store.objects import Store
from tasks.store.records.inputs import SoundNote, SoundRecipe, SoundState
from tasks.store.records.record import SetAside
from tasks.store.stored import Stored
from tasks.wording import count, plain_reason

log = logging.getLogger("retake")

CLIPS_AT_ONCE = 4
"""Clips are fetched and decoded beside one another. torch describes one after the other, on all cores."""

NOTES_AT_ONCE = 8

NUM_NAMED = 5
"""Maximum number of clips listed in an error."""


C = TypeVar("C", bound=HeardClip)


class Describer(Protocol):
    """The properties of `tasks.learn.inputs.describe_sound.Describer`, which imports torch."""

    @property
    def recipe(self) -> SoundRecipe:
        """Return how it describes sound."""

    @property
    def rates_hz(self) -> tuple[int, ...]:
        """List the rates that it needs."""

    def describe(self, samples: Mapping[int, NDArray[np.float32]], *, seconds: float, state: SoundState, reason: str = "") -> Sound:
        """Describe the sound of a clip."""


MakeDescriber = Callable[[SoundRecipe], Describer]
"""Loads the networks of a recipe: `tasks.learn.inputs.describe_sound.describer`. In its place None stands for a step that describes no sound."""


@dataclass(frozen=True)
class Described:
    """The result of `describe_sound`; `set_aside` lists clips whose file cannot be read, with the reason."""

    num_clips: int
    seconds: float
    set_aside: tuple[SetAside, ...]


def sound_uri(clip_uri: str, recipe: SoundRecipe) -> str:
    """Return the address of a clip's described sound."""
    return sound_of_clip(clip_uri, sound_recipe_of(recipe))


def note_of(clip: HeardClip, recipe: SoundRecipe) -> Stored[SoundNote]:
    """Find the note on a clip's described sound."""
    return sound_note_of_clip(clip.uri, sound_recipe_of(recipe))


def read_notes(store: Store, clips: Sequence[HeardClip], recipe: SoundRecipe) -> list[SoundNote | None]:
    """Read the note on the sound of each clip; None where sound is not described."""
    described = {clip.uri for clip in clips} - {clip.uri for clip in without_sound(store, clips, recipe)}
    with ThreadPoolExecutor(NOTES_AT_ONCE, thread_name_prefix="sound-notes") as pool:
        return list(pool.map(lambda clip: store.read(note_of(clip, recipe)) if clip.uri in described else None, clips))


def without_sound(store: Store, clips: Sequence[C], recipe: SoundRecipe) -> list[C]:
    """Select the clips whose sound is not described in the store."""
    wanted = [(sound_uri(clip.uri, recipe), note_of(clip, recipe).uri) for clip in clips]
    there = {found.uri for folder in folders_of(uri for uri, _ in wanted) for found in store.list(folder)}
    return [clip for clip, uris in zip(clips, wanted, strict=True) if not there.issuperset(uris)]


def complete_sound(store: Store, clips: Sequence[HeardClip], recipe: SoundRecipe, describer: MakeDescriber | None) -> None:
    """Describe the sound that is missing, for example for a champion that hears by another recipe.

    Raises:
        BadVideo: clips cannot be read; the message lists them. A clip without sound is no such clip.
        BadConfiguration: a network of the recipe is not installed here, or this step describes no sound.
    """
    missing = without_sound(store, clips, recipe)
    if not missing:
        return
    if describer is None:
        raise BadConfiguration(f"the sound of {count(len(missing), 'clip')} is not described in the store; run the step `sound` again")
    log.info("the sound of %d of %d clips is not described in the store; describing it now", len(missing), len(clips))
    if bad := describe_sound(store, missing, describer(recipe)).set_aside:
        raise BadVideo(
            f"{len(bad)} of {len(clips)} clips cannot be read: {'; '.join(f'{clip.name}: {clip.reason}' for clip in bad[:NUM_NAMED])}"
            f"{'; …' if len(bad) > NUM_NAMED else ''}. Delete the clips.json beside them in the store and cut their videos again (ingest_videos)"
        )


def describe_sound(store: Store, clips: Sequence[HeardClip], hearing: Describer) -> Described:
    """Describe the sound of these clips and upload the descriptions to the store.

    A clip without sound is described as silence, with the reason.
    """
    started = time.monotonic()
    set_aside, lock = [], Lock()
    with (
        tempfile.TemporaryDirectory(prefix="retake-sound-") as name,
        ThreadPoolExecutor(CLIPS_AT_ONCE, thread_name_prefix="sound-clips") as pool,
    ):
        jobs = [pool.submit(_keep, store, clip, hearing, lock, Path(name) / f"{number}.mp4") for number, clip in enumerate(clips)]
        try:
            for number, (clip, job) in enumerate(zip(clips, jobs, strict=True), 1):
                outcome = job.result()
                if isinstance(outcome, SetAside):
                    set_aside.append(outcome)
                    log.warning("%d of %d clips: %s cannot be heard: %s", number, len(clips), clip.uri, outcome.reason)
                else:
                    log.info("%d of %d clips: %s: %s", number, len(clips), clip.uid, outcome.reason or outcome.state.value)
        finally:
            pool.shutdown(cancel_futures=True)
    return Described(len(clips) - len(set_aside), time.monotonic() - started, tuple(set_aside))


def read_stored(store: Store, clip: HeardClip, recipe: SoundRecipe) -> Sound:
    """Read the described sound of a clip.

    Raises:
        MissingObject: its sound is not described.
        BadVideo: the description is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="retake-sound-") as name:
        path = Path(name) / f"0{SOUND_SUFFIX}"
        store.read_file(sound_uri(clip.uri, recipe), path)
        return read_sound(path)


def _keep(store: Store, clip: HeardClip, hearing: Describer, lock: Lock, source: Path) -> SoundNote | SetAside:
    """Describe and upload one clip's sound, or say why its file cannot be read.

    `source` is a temporary path. The sound itself is not returned: all of them at once need not fit into memory.
    """
    made = source.with_suffix(SOUND_SUFFIX)
    try:
        store.read_file(clip.uri, source)
        heard = track.read_sound(source, hearing.rates_hz)
        with lock:
            sound = hearing.describe(heard.samples, seconds=heard.seconds, state=heard.state, reason=heard.reason)
        write_sound(made, sound)
        store.write_file(sound_uri(clip.uri, hearing.recipe), made)
        note = SoundNote(state=sound.state, reason=sound.reason, speech_share=sound.speech_share)
        store.write(note_of(clip, hearing.recipe), note)
    except MissingObject:
        return SetAside(name=clip.uid, reason="the clip is not in the store")
    except BadVideo as error:
        return SetAside(name=clip.uid, reason=plain_reason(error, source.name))
    finally:
        source.unlink(missing_ok=True)
        made.unlink(missing_ok=True)
    return note
