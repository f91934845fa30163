"""Render snippets as RGB pictures for people."""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

import numpy as np
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from tasks.options import Modality

Frames = NDArray[np.uint8]
NO_MOTION = 127.5


def pictures(snippets: Frames, modality: Modality) -> Frames:
    """Render one RGB picture per snippet: its first frame, its spectrogram in grey, or for flow the mean motion.

    Flow is drawn with direction as hue and speed as brightness.

    Args:
        snippets: uint8 (t, h, w, p).
        modality: of the planes.

    Returns:
        uint8 (t, h, w, 3); flow brightness is relative to the fastest point of all snippets.
    """
    if modality is Modality.SPECTROGRAM:
        return np.repeat(snippets, 3, axis=-1)
    if modality is not Modality.FLOW:
        return snippets[..., :3]
    x, y = (snippets[..., first::2].mean(-1) - NO_MOTION for first in (0, 1))
    speed = np.hypot(x, y)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    # The floor of 1.0 keeps 8-bit rounding of a still clip from being amplified to noise.
    colours: Frames = (255 * hsv_to_rgb(np.stack([hue, np.ones_like(hue), speed / max(speed.max(), 1.0)], -1))).astype(np.uint8)
    return colours
