"""The view *Intervals*: in and out points, suggestions, overlaps, undo."""

import re

import pytest
from playwright.sync_api import expect

from tasks.dataset.statements import Ledger
from tasks.media.label_log import read_log
from tests.labelling.page import STORE

TO = "\N{EN DASH}"
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def standing(store, cuts):
    """Reads the intervals that hold."""

    def read():
        intervals = Ledger.of(read_log(store, STORE)).intervals(cuts[0].video)
        return [(interval.start_seconds, interval.stop_seconds, interval.verb, interval.noun) for interval in intervals]

    return read


@pytest.fixture
def page(visit):
    page = visit(view="#intervals")
    expect(page.locator("#predicted-list button")).to_have_count(10)
    page.keyboard.press("Space")
    expect(page.locator("#interval-state")).to_contain_text("paused")
    page.keyboard.press("Home")
    expect(page.locator("#interval-time")).to_have_text("0:00.00 of 0:40.00")
    return page


def mark(page, start, stop, words):
    page.locator("#in").fill(start)
    page.locator("#out").fill(stop)
    page.locator("#out").press("Tab")
    page.locator("#interval-words input").fill(words)
    page.locator("#interval-words input").press("Enter")
    expect(page.locator("#status")).to_contain_text(f"Saved {words}")


def test_an_interval_by_keyboard_labels_its_clips_in_all_views_and_is_withdrawn_in_review(page, standing):
    page.keyboard.press("i")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#interval-time")).to_have_text("0:02.03 of 0:40.00")
    page.keyboard.press("o")
    page.keyboard.type("whisk egg")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(f"Saved whisk egg 0:00.00{TO}0:02.03; 2 of 120 done.")
    assert standing() == [(0, 2.033, "whisk", "egg")]
    page.keyboard.press("Space")
    expect(page.locator("#interval-time")).to_contain_text("0:04.")
    expect(page.locator("#remaining")).to_contain_text("2 by you")
    page.locator("#to-clips").click()
    page.locator("#filter-name").fill("whisk")
    page.locator("#filter-show").select_option("labelled")
    expect(page.locator("#clip-label")).to_contain_text("whisk egg (by anna)")
    page.locator("#to-classes").click()
    expect(page.get_by_role("button", name="Rename or merge the verb whisk")).to_be_visible()
    page.locator("#to-review").click()
    page.locator("#review-show").select_option("intervals")
    expect(page.locator("#review-rows tbody tr")).to_contain_text("whisk egg (interval)")
    page.get_by_role("link", name="Open whisk egg of kitchen_01.mp4 0:00.00 in Intervals").click()
    expect(page.locator("#interval-list button.item")).to_contain_text("whisk egg")
    page.locator("#to-review").click()
    page.get_by_role("button", name="Withdraw whisk egg of kitchen_01.mp4").click()
    expect(page.locator("#review-rows")).to_have_text("No label fits.")
    expect(page.locator("#done")).to_have_text("0 of 120 done")
    assert standing() == []
    page.locator("#to-intervals").click()
    expect(page.locator("#interval-list button")).to_have_count(0)


def test_intervals_overlap_and_change_and_an_undo_brings_the_earlier_one_back(page, standing):
    mark(page, "1", "5", "put meat")
    mark(page, "2.5", "4", "take bag")
    assert standing() == [(1, 5, "put", "meat"), (2.5, 4, "take", "bag")]
    page.locator("#interval-list button.item").first.click()
    page.locator("#out").fill("6")
    page.locator("#out").press("Tab")
    page.locator("#interval-save").click()
    expect(page.locator("#status")).to_contain_text(f"Saved put meat 0:01.00{TO}0:06.00")
    assert standing() == [(1, 6, "put", "meat"), (2.5, 4, "take", "bag")]
    page.keyboard.press("Control+z")
    expect(page.locator("#status")).to_contain_text("undo of put meat")
    expect(page.locator("#interval-list button.item").first).to_contain_text(f"0:01.00{TO}0:05.00")
    assert standing() == [(1, 5, "put", "meat"), (2.5, 4, "take", "bag")]


def test_suggestions_are_accepted_by_keyboard_and_dragged_by_pointer(page, store, standing):
    page.keyboard.press("ArrowDown")
    expect(page.locator("#status")).to_have_text("Suggested: put meat, 90 %, 0:00.00 to 0:04.00.")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Saved put meat")
    expect(page.locator("#predicted-list button").first).to_contain_text("taken")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#draft")).to_have_text(f"Suggested 86 %: take bag, 0:04.00{TO}0:08.00")
    grip, box = page.locator(".grip").last.bounding_box(), page.locator("#timeline").bounding_box()
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, grip["y"] + 12, steps=4)
    page.mouse.up()
    expect(page.locator("#draft")).to_have_text(re.compile("take bag, 0:04.00.0:(10.0|09.9)"))
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Saved take bag")
    first, second = standing()
    assert first == (0, 4, "put", "meat")
    assert (second[0], second[2:]) == (4, ("take", "bag"))
    assert second[1] == pytest.approx(10, abs=0.1)
    last = read_log(store, STORE)[-1].statement
    assert (last.suggested.verb, last.suggested.noun, last.suggested.shown) == ("take", "bag", True)
