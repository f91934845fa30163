import numpy as np
import pytest

from tasks.errors import BadVideo
from tasks.learn.sound.stored import Sound, read_sound, write_sound
from tasks.store.records.sound import SoundState

NAMES = ("log_mel", "features", "starts_seconds", "state", "reason", "speech_share")


def a_sound(**changes) -> Sound:
    rng = np.random.default_rng(0)
    values = {
        "log_mel": rng.normal(-6, 2, (401, 128)).astype(np.float16),
        "features": rng.normal(size=(16, 513)).astype(np.float32),
        "starts_seconds": np.linspace(0, 1, 16, dtype=np.float32),
        "state": SoundState.HEARD,
    }
    return Sound(**{**values, **changes})


@pytest.mark.parametrize("speech_share", [None, 0.0, 0.25])
def test_what_was_written_is_read(tmp_path, speech_share):
    sound = a_sound(speech_share=speech_share, state=SoundState.UNREADABLE, reason="it does not decode")
    write_sound(tmp_path / "0000.npz", sound)
    found = read_sound(tmp_path / "0000.npz")
    for name in ("log_mel", "features", "starts_seconds"):
        expected = getattr(sound, name)
        assert getattr(found, name).dtype == expected.dtype
        assert np.array_equal(getattr(found, name), expected)
    assert (found.state, found.reason, found.speech_share) == (SoundState.UNREADABLE, "it does not decode", speech_share)
    assert not found.is_heard


def test_the_same_sound_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_sound(tmp_path / name, a_sound())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_damaged_file_is_named(tmp_path, share):
    path = tmp_path / "0003.npz"
    write_sound(path, a_sound())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadVideo, match=r"0003\.npz: damaged"):
        read_sound(path)


def test_changed_bytes_are_refused_or_read_as_they_were(tmp_path):
    path = tmp_path / "0003.npz"
    write_sound(path, a_sound())
    data, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(100):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 0xFF
        path.write_bytes(changed)
        try:
            assert np.array_equal(read_sound(path).features, a_sound().features)
        except BadVideo:
            continue


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"log_mel": np.zeros(3)}, "not a stored sound"),
        (dict.fromkeys(NAMES, np.array([{}], object)), "allow_pickle"),
    ],
    ids=["another archive", "objects, which are not unpickled"],
)
def test_what_is_no_sound_is_refused(tmp_path, stored, said):
    np.savez(tmp_path / "other.npz", **stored)
    with pytest.raises(BadVideo, match=said):
        read_sound(tmp_path / "other.npz")


def test_windows_without_a_start_are_refused(tmp_path):
    write_sound(tmp_path / "0.npz", a_sound(starts_seconds=np.zeros(3, np.float32)))
    with pytest.raises(BadVideo, match="spectra and windows"):
        read_sound(tmp_path / "0.npz")
