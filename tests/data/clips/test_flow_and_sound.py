"""Sound is described once per clip, whatever its track is like."""

import weakref

import numpy as np
import pytest

from tasks.data.clips.flow_and_sound import CLIPS_AT_ONCE, complete_sound, describe_sound, note_of, read_stored, sound_uri, without_sound
from tasks.disk import own_temporary_folder
from tasks.errors import BadVideo, MissingObject, Unavailable
from tasks.learn.inputs.sound_features import write_sound
from tasks.store.records.video import SoundState
from tests.pipeline.shelf import Shelf, fill_disk

TRACKS = {
    "a tone": "sine=f=440:r=48000:d=2",
    "silence": "anullsrc=r=48000:d=2",
    "8 kHz": "sine=f=440:r=8000:d=2",
    "5.1 at 96 kHz": "sine=f=440:r=96000:d=2,pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0",
    "short": "sine=f=440:r=48000:d=1",
    "none": None,
}


@pytest.fixture(scope="module")
def films(sounding):
    return {name: sounding(2, track).read_bytes() for name, track in TRACKS.items()}


@pytest.fixture
def shelf(films):
    return Shelf(films["a tone"])


@pytest.fixture
def clips(shelf, films):
    clips = dict(zip(TRACKS, shelf.clips("a" * 64, len(TRACKS)), strict=True))
    shelf.objects |= {clip.uri: films[name] for name, clip in clips.items()}
    return clips


def test_every_clip_is_described_and_silence_is_explained(shelf, clips, caplog):
    caplog.set_level("INFO", "retake")
    assert describe_sound(shelf, list(clips.values())).set_aside == ()
    sounds = {name: read_stored(shelf, clip) for name, clip in clips.items()}
    assert {name: sound.state for name, sound in sounds.items()} == {
        **dict.fromkeys(TRACKS, SoundState.HEARD),
        "silence": SoundState.SILENT,
        "none": SoundState.NO_TRACK,
    }
    assert {name: sound.reason for name, sound in sounds.items() if sound.reason} == {
        "silence": "its sound is silence",
        "short": "its sound ends 1.0 s before the picture; behind is silence",
        "none": "it has no sound track",
    }
    for name, sound in sounds.items():
        assert (sound.log_mel.shape, sound.features.shape) == ((401, 128), (8, 256))
        assert f"{clips[name].uid}: {sound.reason or 'heard'}" in caplog.text
    loudest = {name: sound.log_mel[100].argmax() for name, sound in sounds.items() if sound.is_heard}
    assert len(set(loudest.values())) == 1


def test_only_missing_sounds_are_described_and_a_second_time_gives_the_same_bytes(shelf, clips):
    some = [clips["a tone"], clips["none"]]
    complete_sound(shelf, some)
    assert without_sound(shelf, list(clips.values())) == [clip for clip in clips.values() if clip not in some]
    uri = sound_uri(some[0].uri)
    first = shelf.objects.pop(uri)
    shelf.objects.pop(some[1].uri)
    complete_sound(shelf, some)
    assert shelf.objects[uri] == first
    note = note_of(some[0]).uri
    kept = shelf.objects.pop(note)
    complete_sound(shelf, some)
    assert shelf.objects[note] == kept


def test_only_the_sounds_in_work_are_held_in_memory(shelf, monkeypatch):
    made, most = [], []

    def count_alive(path, sound):
        made.append(weakref.ref(sound))
        most.append(sum(alive() is not None for alive in made))
        write_sound(path, sound)

    monkeypatch.setattr("tasks.data.clips.flow_and_sound.write_sound", count_alive)
    assert describe_sound(shelf, shelf.clips("b" * 64, 4 * CLIPS_AT_ONCE)).num_clips == len(made)
    assert max(most) <= CLIPS_AT_ONCE


def test_a_clip_that_cannot_be_read_is_named_and_the_others_are_described(shelf, clips):
    shelf.objects[clips["silence"].uri] = b"no video"
    del shelf.objects[clips["short"].uri]
    some = [clips[name] for name in ("a tone", "silence", "short")]
    described = describe_sound(shelf, some)
    assert described.num_clips == 1
    reasons = {file.name: file.reason for file in described.set_aside}
    assert reasons[clips["short"].uid] == "the clip is not in the store"
    assert reasons[clips["silence"].uid].startswith("damaged, or not a video")
    with pytest.raises(BadVideo, match=r"2 of 3 clips cannot be read: .* cut their videos again"):
        complete_sound(shelf, some)


def test_a_full_disk_is_told_with_the_remedy_and_nothing_half_written_counts_as_done(shelf, clips, monkeypatch):
    before = dict(shelf.objects)
    with monkeypatch.context() as patch, pytest.raises(Unavailable, match=r"the disk is full \(No space left.*make room"):
        fill_disk(shelf, patch, ".npz")
        with own_temporary_folder():
            describe_sound(shelf, [clips["a tone"]])
    assert shelf.objects == before
    assert describe_sound(shelf, [clips["a tone"]]).num_clips == 1


def test_damaged_descriptions_and_missing_ones_are_told_apart(shelf, clips):
    clip = clips["a tone"]
    with pytest.raises(MissingObject):
        read_stored(shelf, clip)
    shelf.objects[sound_uri(clip.uri)] = b"no archive"
    with pytest.raises(BadVideo, match="not a stored sound"):
        read_stored(shelf, clip)


def test_descriptions_do_not_depend_on_the_clips_beside_them(shelf, clips):
    describe_sound(shelf, list(clips.values()))
    together = read_stored(shelf, clips["8 kHz"])
    describe_sound(shelf, [clips["8 kHz"]])
    assert np.array_equal(read_stored(shelf, clips["8 kHz"]).features, together.features)


def test_a_note_tells_the_share_of_speech_where_somebody_listens(shelf, clips):
    some = [clips["a tone"], clips["none"]]
    describe_sound(shelf, some)
    described = [shelf.objects[sound_uri(clip.uri)] for clip in some]
    assert [shelf.read(note_of(clip)).speech_share for clip in some] == [None, None]
    describe_sound(shelf, some, lambda samples: len(samples) / 128_000)
    assert [shelf.read(note_of(clip)).speech_share for clip in some] == [0.25, 0.25]
    assert [shelf.objects[sound_uri(clip.uri)] for clip in some] == described
