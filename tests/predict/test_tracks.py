"""WebVTT, read by a browser's own parser."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.predict.tracks import Cue, block, opening
from tests.http_servers import served

HOSTILE = [
    "a --> b",
    "<b>put</b> & <script>alert(1)</script>",
    "two\nlines\n\n00:00:09.000 --> 00:00:10.000\nforged",
    "NOTE",
    "WEBVTT",
    "é ж 肉",
]


def web_vtt(title, cues):
    return opening(title) + "".join(map(block, cues))


def test_a_cue_says_when_what_and_how_likely():
    track = web_vtt("model on a.mp4", [Cue(0, 8, "put meat", 0.6249), Cue(3608, 3610.5, "take bag", 1)])
    assert track == (
        "WEBVTT\n\nNOTE model on a.mp4\n\n00:00:00.000 --> 00:00:08.000\nput meat, 62.5 %\n\n"
        "01:00:08.000 --> 01:00:10.500\ntake bag, 100.0 %\n"
    )


@settings(max_examples=50)
@given(st.text(), st.text(), st.floats(0, 1e5), st.floats(0, 1e5))
def test_no_name_ends_its_cue_or_begins_another(title, action, start, length):
    track = web_vtt(title, [Cue(start, start + length, action, 0.5)])
    assert track.count("-->") == 1
    blocks = track.rstrip("\n").split("\n\n")
    assert len(blocks) == 3
    assert len(blocks[2].split("\n")) == 2
    begins, ends = blocks[2].split("\n")[0].split(" --> ")
    assert begins < ends or len(begins) < len(ends)


@pytest.mark.browser
def test_a_browser_reads_every_cue_as_it_was_meant(browser, tmp_path):
    cues = [Cue(8 * i, 8 * i + 8, action, 0.25) for i, action in enumerate(HOSTILE)]
    (tmp_path / "track.vtt").write_text(web_vtt("a --> <b>", cues), encoding="utf-8")
    (tmp_path / "page.html").write_text('<!DOCTYPE html><video><track default kind="subtitles" src="track.vtt"></video>')
    with served(tmp_path) as address, closing(browser.new_page()) as page:
        page.goto(f"{address}/page.html")
        page.wait_for_function("() => document.querySelector('track').readyState >= 2")
        read = page.evaluate(
            "() => [...document.querySelector('video').textTracks[0].cues].map(c => [c.startTime, c.endTime, c.getCueAsHTML().textContent, "
            "c.getCueAsHTML().children.length])"
        )
    assert read == [[cue.start_seconds, cue.stop_seconds, f"{' '.join(cue.action.split())}, 25.0 %", 0] for cue in cues]
