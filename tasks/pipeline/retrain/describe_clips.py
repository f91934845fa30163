"""Describe the sound of the clips that networks hear; skip clips that have it."""

from collections import Counter
from collections.abc import Sequence

from tasks.data.clips.clips import StoredClip
from tasks.data.clips.sound import describe_sound, read_notes, without_sound
from tasks.errors import NothingToDo
from tasks.learn.inputs.describe_sound import describer
from tasks.learn.networks.sound_recipe import recipe_needed
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
    recipes = list(dict.fromkeys(recipe_needed(name) for name in needs.sounds))
    missing = {recipe: without_sound(store, clips, recipe) for recipe in recipes}
    earlier = finished(store, SOUND.address(arguments))
    if earlier and (earlier.recipes, earlier.num_clips) != (tuple(recipes), len(clips)):
        earlier = None  # of other networks, or before something was installed
    if earlier and not any(missing.values()):
        return earlier
    for recipe, lacking in missing.items():
        log.info("describing the sound of %d of %d clips by %s", len(lacking), len(clips), "aisfx" if recipe.network else "statistics")
    done = [describe_sound(store, lacking, describer(recipe)) for recipe, lacking in missing.items() if lacking]
    listening = next((recipe for recipe in recipes if recipe.speech), recipes[0])
    result = _result(clips, read_notes(store, clips, listening), listening).model_copy(
        update={
            "recipes": tuple(recipes),
            "num_described": sum(described.num_clips for described in done),
            "seconds": round(sum(described.seconds for described in done), 3),
            "set_aside": tuple({aside.name: aside for described in done for aside in described.set_aside}.values()),
        }
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
