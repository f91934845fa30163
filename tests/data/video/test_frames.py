import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.data.video.frames import iter_frames, read_frames, scaled_size
from tasks.errors import BadVideo
from tests.data.video.hostile import blank


def decode_all(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def clip_and_frames(clips):
    """A clip and all of its frames."""
    return clips[0].path, decode_all(clips[0].path)


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indices=st.lists(st.integers(0, 239), min_size=1, max_size=12))
def test_any_frames_in_any_order(clip_and_frames, indices):
    path, frames = clip_and_frames
    np.testing.assert_array_equal(read_frames(path, indices, short_side=None), frames[indices])
    np.testing.assert_array_equal(list(iter_frames(path, indices, short_side=None)), frames[indices])


@pytest.mark.slow
def test_frames_of_videos_with_reordered_pictures(counted, shared):
    """Not only clips: key frames far apart, B-frames, open groups of pictures."""
    for path in (shared / "videos/long/bikes.mp4", shared / "videos/odd/h265_10bits.mp4", counted):
        frames = decode_all(path)
        indices = [0, len(frames) - 1, len(frames) // 2, len(frames) // 2 + 1, 3]
        np.testing.assert_array_equal(read_frames(path, indices, short_side=None), frames[indices])


@pytest.mark.parametrize("short_side", [32, 64, 256])
def test_scaled_up_or_down_to_the_short_side(patterned, short_side):
    frames = read_frames(patterned, [0, 4], short_side=short_side)
    assert frames.shape == (2, short_side, short_side * 96 // 64, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_allclose(frames.mean((1, 2)), decode_all(patterned)[[0, 4]].mean((1, 2)), atol=1)


def test_frames_are_scaled_as_asked(patterned):
    (whole,) = read_frames(patterned, [3], short_side=None)
    bilinear, bicubic = (np.asarray(Image.fromarray(whole).resize((120, 80), Image.Resampling[name])) for name in ("BILINEAR", "BICUBIC"))
    np.testing.assert_array_equal(read_frames(patterned, [3], short_side=80)[0], bilinear)
    np.testing.assert_array_equal(read_frames(patterned, [3], short_side=80, interpolation="bicubic")[0], bicubic)
    assert not np.array_equal(bilinear, bicubic)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1080))
def test_the_short_side_is_as_asked_and_the_shape_stays(width, height, short_side):
    w, h = scaled_size(width, height, short_side)
    assert min(w, h) == short_side
    assert (w >= h) == (width >= height) or w == h
    assert abs(max(w, h) - short_side * max(width, height) / min(width, height)) < 1


@pytest.mark.parametrize("indices", [[5], [0, 500], [-1]])
def test_a_frame_that_is_not_there(patterned, indices):
    with pytest.raises(BadVideo, match=rf"{patterned.name}: frames .* requested, but it has 5"):
        read_frames(patterned, indices, short_side=None)


def test_a_clip_that_does_not_decode(small, tmp_path):
    (tmp_path / "0000.mp4").write_bytes(blank(small))
    with pytest.raises(BadVideo, match=r"0000\.mp4"):
        read_frames(tmp_path / "0000.mp4", [0, 20], short_side=256)
