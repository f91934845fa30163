"""What a report says of a network that hears."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from tasks.report.card import model_card
from tasks.report.page import page
from tasks.report.sheets import spectrogram_sheet
from tests.report.tree import Tree


def heard(inputs):
    """The same report, of a network of sound with nothing to hear in the second of its mistakes."""
    first, second, *others = [mistake.uid for mistake in inputs.metrics.mistakes]
    sheet = spectrogram_sheet(np.full((1601, 128), 90, np.uint8))
    results = [one.model_copy(update={"unheard": (second,)}) if one.model == "fine-tuned" else one for one in inputs.metrics.results]
    metrics = inputs.metrics.model_copy(update={"results": tuple(results)})
    return replace(inputs, metrics=metrics, spectrograms={first: sheet, second: b"", **dict.fromkeys(others, sheet)})


def test_a_spectrogram_has_low_notes_at_the_bottom_and_grows_brighter():
    levels = np.zeros((800, 128), np.uint8)
    levels[400:, :64] = 200
    image = Image.open(io.BytesIO(spectrogram_sheet(levels)))
    assert (image.format, image.size) == ("PNG", (640, 128))
    grey = np.asarray(image.convert("L")).astype(int)
    assert grey[100, 600] > 100
    assert max(grey[20, 600], grey[100, 40], grey[20, 40]) < 10


def test_the_sound_of_a_mistake_stands_beside_it_and_its_absence_is_told(make_inputs, page_of):
    inputs = make_inputs("usual")
    told = page(heard(inputs))
    tree = Tree(told)
    assert not tree.faults
    pictures = [image["alt"] for image in tree.of("img") if image["alt"].startswith("Spectrogram")]
    uids = [mistake.uid for mistake in inputs.metrics.mistakes]
    assert pictures == [f"Spectrogram of clip {uid}" for uid in uids if uid != uids[1]]
    assert told.count("nothing to hear</p>") == 1
    assert f"had nothing to hear: {uids[1]}" in told
    assert "their frames and sound" in told
    assert "Spectrogram" not in page_of("usual") + page_of("original")


def test_a_network_with_one_view_is_not_said_to_have_seen_ten_crops(make_inputs):
    inputs = make_inputs("usual")
    assert "10 crops" in model_card(inputs.metrics)
    results = tuple(one.model_copy(update={"own_crops": 1}) if one.model == "fine-tuned" else one for one in inputs.metrics.results)
    metrics = inputs.metrics.model_copy(update={"results": results})
    assert ", 1 crop." in model_card(metrics)
    assert page(replace(inputs, metrics=metrics)).count('<td class="num">1</td>') > page(inputs).count('<td class="num">1</td>')
