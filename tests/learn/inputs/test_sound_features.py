import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadVideo
from tasks.learn.inputs import sound_features
from tasks.learn.inputs.sound_features import (
    LOG_FLOOR,
    LOUDEST,
    QUIETEST,
    SPECTRA_PER_SECOND,
    WINDOW_SECONDS,
    Sound,
    describe,
    log_mel,
    num_spectra,
    num_windows,
    quantised,
    read_sound,
    rows_of,
    sound_key,
    window_starts,
    write_sound,
)
from tasks.learn.networks.spec import NUM_MELS, NUM_SOUND_FEATURES
from tasks.store.records.video import SoundState
from tests.learn.inputs.sound_reference import SECONDS, STEP, reference, signal


def test_descriptions_of_earlier_versions_are_found_and_each_decoder_has_a_folder_of_its_own(monkeypatch):
    monkeypatch.setattr(sound_features, "installed", lambda name: "18.1.0")
    assert sound_key() == "20ead989518e4b0f"
    monkeypatch.setattr(sound_features, "installed", lambda name: "another version")
    assert sound_key() != "20ead989518e4b0f"


@given(st.floats(0.01, 60))
def test_windows_lie_inside_the_clip_in_order(seconds):
    starts = window_starts(seconds)
    assert len(starts) == num_windows(seconds)
    assert starts[0] >= 0
    assert (np.diff(starts) >= 0).all()
    assert starts[-1] <= max(0, seconds - WINDOW_SECONDS) + 1e-5


def test_windows_in_the_middle_lie_around_their_quarter_of_a_second_and_all_of_a_short_clip_begin_at_its_start():
    starts = window_starts(8)
    assert starts[16] + WINDOW_SECONDS / 2 == pytest.approx(16.5 / 4, abs=1e-6)
    assert np.diff(starts[6:26]) == pytest.approx(np.full(19, 1 / 4), abs=1e-6)
    assert window_starts(1).tolist() == [0] * 4


def test_features_are_the_mean_and_deviation_of_each_band_and_twice_the_same():
    sound, again = (describe(signal(24_000), seconds=SECONDS, state=SoundState.HEARD) for _ in range(2))
    assert np.array_equal(sound.features, again.features)
    assert sound.features.shape == (num_windows(SECONDS), NUM_SOUND_FEATURES)
    spectra = log_mel(signal(24_000))
    first = round(float(sound.starts_seconds[-1]) * SPECTRA_PER_SECOND)
    window = spectra[first : first + 464]
    assert sound.features[-1, :128] == pytest.approx(window.mean(axis=0), abs=0.01)
    assert sound.features[-1, 128:] == pytest.approx(window.std(axis=0), abs=0.01)
    assert sound.log_mel == pytest.approx(spectra, abs=0.01)
    assert sound.state is SoundState.HEARD


@pytest.mark.parametrize(
    ("level", "given", "told"),
    [
        (0, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (2 / 32768, (SoundState.HEARD, ""), (SoundState.SILENT, "its sound is silence")),
        (0, (SoundState.NO_TRACK, "it has no sound track"), (SoundState.NO_TRACK, "it has no sound track")),
    ],
)
def test_sound_that_is_never_loud_is_silence_and_why_there_is_none_is_kept(level, given, told):
    described = describe(np.full(24_000, level, np.float32), seconds=1, state=given[0], reason=given[1])
    assert (described.state, described.reason) == told
    assert len(described.log_mel) == num_spectra(1)
    assert np.isfinite(described.features).all()


def test_the_spectrogram_is_librosas():
    spectra = log_mel(signal(24_000))
    assert spectra.shape == (num_spectra(SECONDS), 128)
    assert np.abs(spectra[::STEP] - reference()).max() < 1e-4


@pytest.mark.parametrize("num_samples", [1, 2, 119, 240, 2047])
def test_a_sound_may_be_shorter_than_a_spectrum_and_silence_is_the_logarithm_of_the_floor(num_samples):
    assert log_mel(np.ones(num_samples, np.float32)).shape == (1 + num_samples // 120, 128)
    assert log_mel(np.zeros(24_000, np.float32)) == pytest.approx(np.full((201, 128), np.log(LOG_FLOOR)))


def test_eight_bits_hold_silence_and_the_loudest_tone_apart():
    log_mel = np.array([[QUIETEST, -5, LOUDEST, LOUDEST + 1]], np.float16)
    assert quantised(log_mel).tolist() == [[0, 108, 255, 255]]


@pytest.mark.parametrize("state", SoundState)
def test_where_there_is_nothing_to_hear_there_are_zeros(state):
    sound = Sound(np.full((9, NUM_MELS), -3, np.float16), np.ones((4, 256), np.float32), np.zeros(4, np.float32), state)
    assert rows_of(sound).any() == (state is SoundState.HEARD)


NAMES = ("log_mel", "features", "starts_seconds", "state", "reason")


def a_sound(**changes) -> Sound:
    rng = np.random.default_rng(0)
    values = {
        "log_mel": rng.normal(-6, 2, (401, 128)).astype(np.float16),
        "features": rng.normal(size=(16, 513)).astype(np.float32),
        "starts_seconds": np.linspace(0, 1, 16, dtype=np.float32),
        "state": SoundState.HEARD,
    }
    return Sound(**{**values, **changes})


def test_what_was_written_is_read(tmp_path):
    sound = a_sound(state=SoundState.UNREADABLE, reason="it does not decode")
    write_sound(tmp_path / "0000.npz", sound)
    kept = read_sound(tmp_path / "0000.npz")
    for name in ("log_mel", "features", "starts_seconds"):
        expected = getattr(sound, name)
        assert getattr(kept, name).dtype == expected.dtype
        assert np.array_equal(getattr(kept, name), expected)
    assert (kept.state, kept.reason) == (SoundState.UNREADABLE, "it does not decode")
    assert not kept.is_heard


def test_damaged_files_are_named_and_changed_bytes_refused_or_read_as_they_were(tmp_path):
    path = tmp_path / "0003.npz"
    write_sound(path, a_sound())
    data, rng = path.read_bytes(), np.random.default_rng(1)
    for share in (0, 0.3, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(BadVideo, match=r"0003\.npz: damaged"):
            read_sound(path)
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
    [({"log_mel": np.zeros(3)}, "not a stored sound"), (dict.fromkeys(NAMES, np.array([{}], object)), "allow_pickle")],
    ids=["another archive", "objects, which are not unpickled"],
)
def test_what_is_no_sound_and_windows_without_a_start_are_refused(tmp_path, stored, said):
    np.savez(tmp_path / "other.npz", **stored)
    write_sound(tmp_path / "0.npz", a_sound(starts_seconds=np.zeros(3, np.float32)))
    for name, words in (("other.npz", said), ("0.npz", "spectra and windows")):
        with pytest.raises(BadVideo, match=words):
            read_sound(tmp_path / name)
