"""What a report says of a network that hears."""

from dataclasses import replace

import numpy as np

from tasks.judge.report.figures.pictures import spectrogram_sheet
from tasks.judge.report.run import model_card, page
from tasks.wording import stretch
from tests.judge.report.tree import Tree


def test_the_sound_of_a_mistake_stands_beside_it_and_its_absence_is_told(make_inputs):
    inputs = make_inputs("bare")
    usual = make_inputs().metrics
    silent = usual.mistakes[1].uid
    results = [result.model_copy(update={"unheard": (silent,)}) for result in usual.results]
    metrics = inputs.metrics.model_copy(update={"results": tuple(results), "mistakes": usual.mistakes})
    uids = [mistake.uid for mistake in usual.mistakes]
    shown = {clip.uid: f"{clip.file} {stretch(clip.start_seconds, clip.stop_seconds)}" for clip in metrics.clips}
    sheet = spectrogram_sheet(np.full((1601, 128), 90, np.uint8))
    html = page(replace(inputs, metrics=metrics, spectrograms=dict.fromkeys(uids, sheet) | {silent: b""}))
    tree = Tree(html)
    assert not tree.faults
    pictures = [image["alt"] for image in tree.of("img") if image["alt"].startswith("Spectrogram")]
    assert pictures == [f"Spectrogram of clip {shown[uid]}" for uid in uids if uid != silent]
    assert html.count("nothing to hear</p>") == 1
    assert f"had nothing to hear: {shown[silent]}" in html
    assert "their frames and sound" in html


def test_a_network_with_one_view_is_not_said_to_have_seen_ten_crops(make_inputs, changed_page):
    metrics = make_inputs().metrics
    *others, tuned = metrics.results
    results = (*others, tuned.model_copy(update={"own_crops": 1}))
    assert "10 crops" in model_card(metrics)
    assert ", 1 crop." in model_card(metrics.model_copy(update={"results": results}))
    cell = '<td class="num">1</td>'
    assert changed_page(results=results).count(cell) > changed_page().count(cell)
