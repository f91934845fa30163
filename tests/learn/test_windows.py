import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.learn.sampling import frames_in_test
from tasks.learn.spec import NetworkSpec
from tasks.learn.windows import WindowGrid, further_frames, sees_single_frames, slides, window_frames, window_grid
from tasks.options import Modality, PredictOptions, SegmentOptions

TSN = NetworkSpec(backbone="test_resnet")
QUARTER = WindowGrid(240, 60)


def test_a_window_a_quarter_of_a_clip_later_sees_frames_that_the_clips_test_has_seen():
    own = frames_in_test(240, TSN)
    assert further_frames(240, TSN, QUARTER) == ()
    for offset in QUARTER.offsets:
        assert {frame for _, frame in window_frames(offset, TSN, QUARTER)} <= set(own)


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
            pairs = window_frames(offset, spec, grid)
            assert [number * grid.clip_frames + frame - offset for number, frame in pairs] == list(frames_in_test(grid.clip_frames, spec))
            for number, frame in pairs:
                assert frame < (grid.clip_frames, num_last)[number]
                assert frame in seen[number]
                needed[number].add(frame)
    assert set(further_frames(num_last, spec, grid)) <= needed[0] | needed[1]


@pytest.mark.parametrize(
    ("modality", "slides_there", "alone"),
    [
        (Modality.RGB, True, True),
        (Modality.RGB_DIFFERENCE, True, False),
        (Modality.FLOW, False, False),
        (Modality.SPECTROGRAM, False, False),
    ],
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
        for one in suggested.split(", "):
            window_grid(segment, PredictOptions(stride_seconds=float(one)).stride_seconds)


def test_strides_divide_a_clip():
    assert window_grid(SegmentOptions(), 2) == QUARTER
    assert list(window_grid(SegmentOptions(), 8).offsets) == []
    assert window_grid(SegmentOptions(), 0.1) == WindowGrid(240, 3)
