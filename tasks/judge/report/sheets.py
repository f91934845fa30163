"""Make contact sheets of the frames of a clip that a network saw, and draw its sound.

Each is one small picture.
"""

import io

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

FRAME_WIDTH = 160
GAP = 2
QUALITY = 80
SPECTROGRAM_SIZE = 640, 128


def contact_sheet(frames: NDArray[np.uint8]) -> bytes:
    """Make a JPEG of the frames in reading order.

    4 per row up to 8 frames, else 8; at most 160 pixels wide, never enlarged.

    Args:
        frames: (t, h, w, 3) RGB, t at least 1.
    """
    num_frames, height, width = frames.shape[:3]
    scale = min(1.0, FRAME_WIDTH / width)
    cell_width, cell_height = max(1, round(width * scale)), max(1, round(height * scale))
    num_columns = min(num_frames, 4 if num_frames <= 8 else 8)
    num_rows = -(-num_frames // num_columns)
    sheet = Image.new("RGB", (num_columns * (cell_width + GAP) - GAP, num_rows * (cell_height + GAP) - GAP))
    for i in range(num_frames):
        row, column = divmod(i, num_columns)
        small = Image.fromarray(frames[i]).resize((cell_width, cell_height), Image.Resampling.LANCZOS)
        sheet.paste(small, (column * (cell_width + GAP), row * (cell_height + GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def spectrogram_sheet(levels: NDArray[np.uint8]) -> bytes:
    """Draw a clip's spectrogram as a PNG: time to the right, low notes at the bottom, brighter is louder.

    Args:
        levels: (s, 128) spectra, from silence to the loudest tone.
    """
    drawn = Image.fromarray(np.ascontiguousarray(levels.T[::-1])).resize(SPECTROGRAM_SIZE, Image.Resampling.BILINEAR)
    drawn = Image.fromarray(np.asarray(drawn))
    drawn.putpalette((colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
