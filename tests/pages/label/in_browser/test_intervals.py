"""The view *Intervals* with real films: in and out points by keyboard, playback from clip to clip, an end dragged by pointer."""

import re

import pytest
from playwright.sync_api import expect

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tests.pages.label.page import STORE

TO = "\N{EN DASH}"
# One call: the page draws the grips anew whenever labels of others arrive.
BOXES = "() => [[...document.querySelectorAll('.grip')].at(-1), document.getElementById('timeline')].map((box) => box.getBoundingClientRect().toJSON())"
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]


def test_an_interval_is_made_by_keyboard_and_a_suggestion_dragged_by_pointer(visit, store, cuts):
    page = visit(view="#intervals")
    expect(page.locator("#predicted-list button")).to_have_count(10)
    page.keyboard.press("Space")
    expect(page.locator("#interval-state")).to_contain_text("paused")
    page.keyboard.press("Home")
    expect(page.locator("#interval-time")).to_have_text("0:00.00 of 0:40.00")
    page.keyboard.press("i")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#interval-time")).to_have_text("0:02.03 of 0:40.00")
    page.keyboard.press("o")
    page.keyboard.type("whisk egg")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(f"Saved: whisk egg 0:00.00{TO}0:02.03; 2 of 120 done.")
    page.keyboard.press("Space")
    expect(page.locator("#interval-time")).to_contain_text("0:04.")
    for key in ("Space", "Home", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator("#draft")).to_have_text(f"Suggested 86 %: take bag, 0:04.00{TO}0:08.00")
    grip, box = page.evaluate(BOXES)
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, grip["y"] + 12, steps=4)
    page.mouse.up()
    expect(page.locator("#draft")).to_have_text(re.compile("take bag, 0:04.00.0:(10.0|09.9)"))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Saved: take bag")
    made, dragged = Ledger.of(read_log(store, STORE)).intervals(cuts[0].video)
    assert (made.start_seconds, made.stop_seconds, made.verb, made.noun) == (0, 2.033, "whisk", "egg")
    assert (dragged.start_seconds, dragged.verb, dragged.noun) == (4, "take", "bag")
    assert dragged.stop_seconds == pytest.approx(10, abs=0.1)
