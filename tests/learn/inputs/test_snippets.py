import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadDataset, BadInput, MissingObject
from tasks.learn.inputs.snippets import (
    WindowGrid,
    frames_in_test,
    frames_of_window,
    further_frames,
    joined,
    middle_frames,
    middle_snippets,
    random_snippets,
    read_sound_input,
    sees_single_frames,
    slides,
    sound_input,
    window_frames,
    window_grid,
)
from tasks.learn.inputs.sound_features import num_spectra, num_windows
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Modality, PredictOptions, SegmentOptions

NUM_FRAMES, NUM_SEGMENTS, LENGTHS = st.integers(1, 5000), st.integers(1, 32), st.integers(1, 6)
SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND, num_segments=4)
SHARES = st.floats(0, 1, exclude_min=True)


def test_a_clip_is_tested_at_the_middle_of_each_segment_and_a_snippet_of_flow_begins_where_tsn_lets_it_begin():
    assert middle_snippets(240, 8) == [[15], [45], [75], [105], [135], [165], [195], [225]]
    assert middle_frames(240, NetworkSpec(backbone="none", sampling_window=0.5)) == (67, 82, 97, 112, 127, 142, 157, 172)
    # tick = (239 - 5 + 1) / 8 = 29.375
    assert [snippet[0] for snippet in middle_snippets(239, 8, 5)] == [14, 44, 73, 102, 132, 161, 190, 220]
    assert middle_snippets(239, 8, 5)[-1] == [220, 221, 222, 223, 224]
    with pytest.raises(ValueError, match="without frames"):
        middle_snippets(0, 8)


@given(NUM_FRAMES, NUM_SEGMENTS, LENGTHS, st.integers(0, 2**32))
def test_one_snippet_begins_inside_each_segment_and_stays_in_the_clip(num_frames, num_segments, length, seed):
    num_places = max(1, num_frames - length + 1)
    tick = num_places / num_segments
    rng = np.random.default_rng(seed)
    for snippets in (middle_snippets(num_frames, num_segments, length), random_snippets(num_frames, num_segments, rng, length)):
        firsts = [snippet[0] for snippet in snippets]
        assert len(firsts) == num_segments
        assert firsts == sorted(firsts)
        assert all(int(tick * i) <= first <= tick * (i + 1) and first < num_places for i, first in enumerate(firsts))
        assert all(snippet == [min(snippet[0] + i, num_frames - 1) for i in range(length)] for snippet in snippets)


@given(NUM_FRAMES, LENGTHS, SHARES)
def test_a_window_is_the_middle_of_the_clip_and_holds_a_snippet(num_frames, length, share):
    window = window_frames(num_frames, share, length)
    before, behind = window.start, num_frames - window.stop
    assert before >= 0
    assert behind - before in (0, 1)
    assert len(window) == min(num_frames, length) or abs(len(window) - share * num_frames) <= 0.5


@given(NUM_FRAMES, NUM_SEGMENTS, st.sampled_from([modality for modality in Modality if not modality.is_heard]), SHARES)
def test_a_network_is_tested_within_its_window_in_order_and_alike_from_both_ends(num_frames, num_segments, modality, share):
    spec = NetworkSpec(backbone="none", num_segments=num_segments, modality=modality, sampling_window=share)
    length = spec.snippet.num_frames
    snippets = np.reshape(middle_frames(num_frames, spec), (num_segments, length))
    assert set(snippets.ravel().tolist()) <= set(window_frames(num_frames, share, length))
    assert snippets[:, 0].tolist() == sorted(snippets[:, 0].tolist())
    if num_frames >= length:
        assert (np.diff(snippets) == 1).all()
        mirrored = num_frames - 1 - snippets[::-1, ::-1]
        # One frame by the window's place, one by rounding down in it.
        assert np.abs(mirrored - snippets).max() <= 2
    whole = middle_frames(num_frames, spec.model_copy(update={"sampling_window": 1.0}))
    assert whole == tuple(frame for snippet in middle_snippets(num_frames, num_segments, length) for frame in snippet)


@given(NUM_FRAMES, NUM_SEGMENTS, LENGTHS, st.integers(0, 2**32))
def test_training_draws_evenly_from_each_segment(num_frames, num_segments, length, seed):
    num_places = max(1, num_frames - length + 1)
    tick = num_places / num_segments
    shares = np.random.default_rng(seed).random(num_segments)
    drawn = random_snippets(num_frames, num_segments, np.random.default_rng(seed), length)
    # Starts are rounded down to a frame.
    assert [snippet[0] for snippet in drawn] == [min(int(tick * (i + u)), num_places - 1) for i, u in enumerate(shares)]


def test_the_planes_of_a_snippet_are_those_of_its_frames_in_order():
    spec = NetworkSpec(backbone="none", num_segments=2, modality="flow")
    frames = np.arange(2 * 5 * 1 * 3 * 2, dtype=np.uint8).reshape(10, 1, 3, 2)
    snippets = joined(frames, spec)
    assert snippets.shape == (2, 1, 3, 10)
    assert snippets[1, 0, 2].tolist() == frames[5:, 0, 2].ravel().tolist()


TSN = NetworkSpec(backbone="test_resnet")
QUARTER = WindowGrid(240, 60)


def test_a_window_a_quarter_of_a_clip_later_sees_frames_that_the_clips_test_has_seen():
    own = frames_in_test(240, TSN)
    assert further_frames(240, TSN, QUARTER) == ()
    for offset in QUARTER.offsets:
        assert {frame for _, frame in frames_of_window(offset, TSN, QUARTER)} <= set(own)


@given(
    num_segments=st.integers(1, 64),
    window=st.sampled_from([0.25, 0.5, 1]),
    modality=st.sampled_from([Modality.RGB, Modality.RGB_DIFFERENCE]),
    parts=st.sampled_from([(240, 60), (240, 30), (240, 240), (30, 10)]),
    num_last=st.integers(1, 240),
)
def test_a_window_sees_the_frames_of_a_clip_that_is_cut_there_and_no_other_is_decoded(num_segments, window, modality, parts, num_last):
    spec, grid = (
        NetworkSpec(backbone="test_resnet", num_segments=num_segments, sampling_window=window, modality=modality),
        WindowGrid(*parts),
    )
    num_last = min(num_last, grid.clip_frames)
    own = {number: frames_in_test(number, spec) if sees_single_frames(spec) else () for number in (grid.clip_frames, num_last)}
    seen = [{*own[number], *further_frames(number, spec, grid)} for number in (grid.clip_frames, num_last)]
    needed: list[set[int]] = [set(), set()]
    for offset in grid.offsets:
        if offset <= num_last:
            pairs = frames_of_window(offset, spec, grid)
            assert [number * grid.clip_frames + frame - offset for number, frame in pairs] == list(frames_in_test(grid.clip_frames, spec))
            for number, frame in pairs:
                assert frame < (grid.clip_frames, num_last)[number]
                assert frame in seen[number]
                needed[number].add(frame)
    assert set(further_frames(num_last, spec, grid)) <= needed[0] | needed[1]


@pytest.mark.parametrize(
    ("modality", "slides_there", "alone"),
    [(Modality.RGB, True, True), (Modality.RGB_DIFFERENCE, True, False), (Modality.FLOW, False, False)],
)
def test_features_are_shared_where_they_are_of_single_frames(modality, slides_there, alone):
    spec = NetworkSpec(backbone="test_resnet", modality=modality)
    assert (slides(spec), sees_single_frames(spec)) == (slides_there, alone)
    assert not sees_single_frames(spec.model_copy(update={"temporal_shift": True}))
    assert not sees_single_frames(NetworkSpec(backbone="r3d_18"))
    assert bool(further_frames(240, spec, QUARTER)) == (slides_there and not alone)


@pytest.mark.parametrize(
    ("segment", "stride", "suggested"),
    [
        *(({"fps": 30}, stride, "8, 4, 2, 1") for stride in (3, 7.99, 9)),
        ({"fps": 25}, 0.1, "8, 4, 2, 1"),
        # Within the limits of the option.
        ({"clip_seconds": 120}, 0.013, "60, 30, 15, 7.5"),
        ({"clip_seconds": 0.4}, 0.013, "0.4, 0.2, 0.1"),
        ({"clip_seconds": 7}, 0.013, "7, 3.5"),
        ({"clip_seconds": 0.05}, 0.013, "a model of other clips"),
    ],
)
def test_a_stride_that_does_not_divide_a_clip_is_refused_with_others_to_choose(segment, stride, suggested):
    with pytest.raises(BadInput, match=rf"choose for example {suggested}$"):
        window_grid(SegmentOptions().model_copy(update=segment), stride)


@given(clip_seconds=st.floats(0.5, 600), fps=st.integers(1, 120))
def test_strides_to_choose_are_taken(clip_seconds, fps):
    segment = SegmentOptions().model_copy(update={"clip_seconds": clip_seconds, "fps": fps})
    with pytest.raises(BadInput) as refused:
        window_grid(segment, 0.00123)
    if (suggested := str(refused.value).rpartition("choose for example ")[2]) != "a model of other clips":
        assert 1 <= len(suggested.split(", ")) <= 4
        for stride in suggested.split(", "):
            window_grid(segment, PredictOptions(stride_seconds=float(stride)).stride_seconds)


def test_strides_divide_a_clip():
    assert window_grid(SegmentOptions(), 2) == QUARTER
    assert list(window_grid(SegmentOptions(), 8).offsets) == []
    assert window_grid(SegmentOptions(), 0.1) == WindowGrid(240, 3)


def test_segments_draw_windows_as_they_draw_frames():
    assert (num_windows(8), num_spectra(8)) == (32, 1601)
    assert middle_snippets(num_windows(8), 8) == [[n] for n in range(2, 32, 4)]
    assert middle_snippets(num_windows(8), 64) == [[n // 2] for n in range(64)]


@pytest.mark.parametrize("seconds", [0.2, 1, 8])
@given(num_segments=st.integers(1, 64), window=st.sampled_from([0.25, 1]), seed=st.integers(0, 9))
def test_each_segment_hears_a_window_within_itself(seconds, num_segments, window, seed):
    spec = SOUND.model_copy(update={"num_segments": num_segments, "sampling_window": window})
    rows = np.arange(num_windows(seconds), dtype=np.float32)[:, None]
    middle, drawn = (sound_input(rows, spec, rng)[:, 0] for rng in (None, np.random.default_rng(seed)))
    for starts in (middle, drawn):
        assert starts.shape == (num_segments,)
        assert (np.diff(starts) >= 0).all()
    length = max(1, round(len(rows) * window))
    assert np.abs(drawn - middle).max() <= max(1, length / num_segments)
    assert middle.max() - middle.min() < length


def test_a_file_of_something_else_is_refused(tmp_path):
    with pytest.raises(MissingObject, match="fetch them again"):
        read_sound_input(tmp_path / "no.npy", SOUND)
    np.save(tmp_path / "a.npy", np.zeros((9, 7), np.float32))
    with pytest.raises(BadDataset, match=r"expected float32 \(time, 256\)"):
        read_sound_input(tmp_path / "a.npy", SOUND)
