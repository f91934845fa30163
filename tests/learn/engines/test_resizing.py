"""A graph and Pillow make the same crops of the same frames."""

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.data.video.frames import RESAMPLING, scaled_size
from tasks.learn.engines.resizing import centre_crop
from tasks.learn.inputs.crops import centre_offset
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec

PIXELS = st.integers(100, 700)


@settings(max_examples=25, deadline=None)
@given(PIXELS, PIXELS, st.sampled_from([("bilinear", 256), ("bicubic", 100)]))
@example(288, 288, ("bilinear", 256))  # 2 levels
def test_frames_of_any_size_are_scaled_and_cut_as_by_pillow(height, width, how):
    # Levels near the middle alone: bicubic cuts off no overshoot.
    interpolation, num_levels = how
    frame = (np.random.default_rng(0).integers(0, num_levels, (height, width, 3)) + 128 - num_levels // 2).astype(np.uint8)
    spec = NetworkSpec(backbone="test_resnet", num_segments=1, interpolation=interpolation)
    own = centre_crop(torch.from_numpy(frame)[None], spec, scales=True)[0].numpy()
    size = scaled_size(width, height, SHORT_SIDE)
    x, y = centre_offset(*size)
    expected = np.asarray(Image.fromarray(frame).resize(size, RESAMPLING[interpolation]))[y : y + 224, x : x + 224]
    difference = abs(own - expected)
    # Each rounds after its first axis, and again at the end.
    assert difference.max() <= 2
    assert (difference > 1).mean() < 0.01
