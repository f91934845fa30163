"""Describe the sound of the clips that networks hear; skip clips that have it."""

from collections import Counter
from collections.abc import Sequence

from tasks.data.clips.clips import StoredClip
from tasks.data.clips.sound import describe_sound, read_notes, without_sound
from tasks.errors import NothingToDo
from tasks.learn.inputs.describe_sound import describer
from tasks.learn.networks.sound_recipe import installed_recipe
from tasks.pipeline._results import finish, finished, log
from tasks.pipeline.retrain._networks import needs_of
from tasks.pipeline.retrain.contract import SOUND, SoundArguments
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import SoundNote, SoundRecipe, SoundResult, SoundState
from tasks.wording import count


def run(arguments: SoundArguments, store: Store) -> SoundResult:
    """Describe missing sound beside its clips.

    Clips in which there is nothing to hear are counted and named.

    Raises:
        NothingToDo: no network hears.
        BadConfiguration: a network that describes sound is not installed.
    """
    needs = needs_of(arguments, store)
    if not needs.sounds:
        raise NothingToDo("no network of this run hears sound")
    clips = needs.clips()
    recipe = installed_recipe()
    missing = without_sound(store, clips, recipe)
    earlier = finished(store, SOUND.address(arguments))
    if earlier and (earlier.recipes, earlier.num_clips) != ((recipe,), len(clips)):
        earlier = None  # of other clips, or before something was installed
    if earlier and not missing:
        return earlier
    log.info("describing the sound of %d of %d clips", len(missing), len(clips))
    described = describe_sound(store, missing, describer(recipe))
    result = _result(clips, read_notes(store, clips, recipe), recipe).model_copy(
        update={"num_described": described.num_clips, "seconds": round(described.seconds, 3), "set_aside": described.set_aside}
    )
    if earlier and not result.num_described:
        return earlier
    return finish(store, SOUND.address(arguments), result)


def _result(clips: Sequence[StoredClip], notes: Sequence[SoundNote | None], recipe: SoundRecipe) -> SoundResult:
    """Count the clips in which there is nothing to hear, and those in which somebody speaks; log both."""
    stored = [note for note in notes if note]
    states = Counter(note.state for note in stored)
    warnings = tuple(SetAside(name=clip.uid, reason=note.reason) for clip, note in zip(clips, notes, strict=True) if note and note.reason)
    for warning in warnings:
        log.warning("%s: %s", warning.name, warning.reason)
    with_speech = tuple(clip.uid for clip, note in zip(clips, notes, strict=True) if note and note.has_speech)
    log.info(
        "of %s, %d are silent, %d have no sound track, that of %d cannot be read%s",
        *(count(len(clips), "clip"), states[SoundState.SILENT], states[SoundState.NO_TRACK], states[SoundState.UNREADABLE]),
        f"; somebody speaks in {len(with_speech)}" if recipe.speech else "",
    )
    return SoundResult(
        recipes=(recipe,),
        num_clips=len(clips),
        num_described=0,
        num_silent=states[SoundState.SILENT],
        num_without_track=states[SoundState.NO_TRACK],
        num_unreadable=states[SoundState.UNREADABLE],
        with_speech=with_speech if recipe.speech else None,
        seconds=0,
        warnings=warnings,
        set_aside=(),
    )
