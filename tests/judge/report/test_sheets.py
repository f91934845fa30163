import io

import numpy as np
import pytest
from PIL import Image

from tasks.judge.report.figures.pictures import GAP, contact_sheet, spectrogram_sheet


def opened(sheet):
    image = Image.open(io.BytesIO(sheet))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 256, 456), (4 * 160 + 3 * GAP, 2 * 90 + GAP)),
        ((3, 256, 456), (3 * 160 + 2 * GAP, 90)),
        ((1, 456, 256), (160, 285)),
        ((25, 90, 160), (8 * 160 + 7 * GAP, 4 * 90 + 3 * GAP)),
        ((8, 20, 30), (4 * 30 + 3 * GAP, 2 * 20 + GAP)),
    ],
)
def test_a_sheet_has_small_frames_in_rows(shape, size):
    assert opened(contact_sheet(np.zeros((*shape, 3), np.uint8))).size == size


def test_frames_are_in_reading_order():
    frames = np.stack([np.full((90, 160, 3), 30 * i, np.uint8) for i in range(8)])
    sheet = np.asarray(opened(contact_sheet(frames)).convert("L")).astype(int)
    centres = [sheet[45 + 92 * row, 80 + 162 * column] for row in range(2) for column in range(4)]
    assert np.abs(np.array(centres) - 30 * np.arange(8)).max() <= 2


def test_a_spectrogram_has_low_notes_at_the_bottom_and_grows_brighter():
    levels = np.zeros((800, 128), np.uint8)
    levels[400:, :64] = 200
    image = Image.open(io.BytesIO(spectrogram_sheet(levels)))
    assert (image.format, image.size) == ("PNG", (640, 128))
    grey = np.asarray(image.convert("L")).astype(int)
    assert grey[100, 600] > 100
    assert max(grey[20, 600], grey[100, 40], grey[20, 40]) < 10
