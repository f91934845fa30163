"""Describe the sound of the clips that networks hear; skip clips that have it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from tasks.data.clips.flow_and_sound import Described, describe_sound, read_notes, without_sound
from tasks.data.clips.stored_clips import StoredClip
from tasks.errors import NothingToDo
from tasks.learn.inputs.speech import INSTALL, PACKAGE, load_speech_detector, speech_share
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.retrain._networks import needs_of
from tasks.pipeline.retrain.contract import SOUND, NetworksArguments
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import SoundNote, SoundResult, SoundState
from tasks.wording import count


def run(arguments: NetworksArguments, store: Store) -> SoundResult:
    """Describe missing sound, and speech if possible; raise NothingToDo if no network hears."""
    needs = needs_of(arguments, store)
    if not needs.hears:
        raise NothingToDo("no network of this run hears sound")
    clips, detector = needs.clips(), load_speech_detector()
    if detector is None:
        log.warning("clips in which somebody speaks are not looked for: %s is not installed; run `%s`", PACKAGE, INSTALL)
    listen = None if detector is None else partial(speech_share, detector=detector)
    earlier = earlier_result(store, SOUND.address(arguments))
    if earlier and (earlier.num_clips != len(clips) or (listen and earlier.with_speech is None)):
        earlier = None  # of other clips, or before the detector was installed
    if earlier and not without_sound(store, clips):
        return earlier
    notes = zip(clips, read_notes(store, clips), strict=True)
    missing = [clip for clip, note in notes if note is None or (listen and note.speech_share is None)]
    log.info("describing the sound of %d of %d clips", len(missing), len(clips))
    described = describe_sound(store, missing, listen)
    if earlier and not described.num_clips:
        return earlier
    return finish(store, SOUND.address(arguments), _result(clips, read_notes(store, clips), described))


def _result(clips: Sequence[StoredClip], notes: Sequence[SoundNote | None], described: Described) -> SoundResult:
    """Count the clips without sound, and those in which somebody speaks; log both."""
    stored = [note for note in notes if note]
    states = Counter(note.state for note in stored)
    warnings = tuple(SetAside(name=clip.uid, reason=note.reason) for clip, note in zip(clips, notes, strict=True) if note and note.reason)
    for warning in warnings:
        log.warning("%s: %s", warning.name, warning.reason)
    with_speech = None
    if stored and all(note.speech_share is not None for note in stored):
        with_speech = tuple(clip.uid for clip, note in zip(clips, notes, strict=True) if note and note.has_speech)
    log.info(
        "of %s, %d are silent, %d have no sound track, that of %d cannot be read%s",
        *(count(len(clips), "clip"), states[SoundState.SILENT], states[SoundState.NO_TRACK], states[SoundState.UNREADABLE]),
        "" if with_speech is None else f"; somebody speaks in {len(with_speech)}",
    )
    return SoundResult(
        num_clips=len(clips),
        num_described=described.num_clips,
        num_silent=states[SoundState.SILENT],
        num_without_track=states[SoundState.NO_TRACK],
        num_unreadable=states[SoundState.UNREADABLE],
        with_speech=with_speech,
        seconds=round(described.seconds, 3),
        warnings=warnings,
        set_aside=described.set_aside,
    )
