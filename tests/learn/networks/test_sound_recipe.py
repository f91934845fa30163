import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.learn.inputs.sampling import middle_snippets
from tasks.learn.networks import sound_recipe
from tasks.learn.networks.sound_recipe import WINDOW_SECONDS, num_spectra, num_windows, sound_key, window_starts


def test_descriptions_of_earlier_versions_are_found_and_each_decoder_has_a_folder_of_its_own(monkeypatch):
    monkeypatch.setattr(sound_recipe, "installed", lambda name: "18.1.0")
    assert sound_key() == "20ead989518e4b0f"
    monkeypatch.setattr(sound_recipe, "installed", lambda name: "another version")
    assert sound_key() != "20ead989518e4b0f"


def test_segments_draw_windows_as_they_draw_frames():
    assert (num_windows(8), num_spectra(8)) == (32, 1601)
    assert middle_snippets(num_windows(8), 8) == [[n] for n in range(2, 32, 4)]
    assert middle_snippets(num_windows(8), 64) == [[n // 2] for n in range(64)]


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
