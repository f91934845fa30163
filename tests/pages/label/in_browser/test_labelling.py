"""The views *Clips* and *Intervals* with real films: answers, in and out points by keyboard, and an end dragged by pointer."""

import re

import pytest
from playwright.sync_api import expect

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tests.pages.label.in_browser.shop import press
from tests.pages.label.page import STORE

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
NUM_AHEAD = 5
"""The clips that the page reads ahead."""
# Counts the addresses of films that are held.
COUNT = """
  window.numAddresses = 0;
  const [make, free] = [URL.createObjectURL, URL.revokeObjectURL];
  URL.createObjectURL = (blob) => { numAddresses += 1; return make.call(URL, blob); };
  URL.revokeObjectURL = (url) => { numAddresses -= 1; free.call(URL, url); };"""
SHOWN = "#clip-screen video:not(.behind)"
BEHIND = "#clip-screen video.behind"
# The first six clips have the suggestions put meat and take bag.
ANSWERS = (
    (["Enter"], ("action", "put", "meat")),
    ([*"ta", "Tab", *"ba", "Enter"], ("action", "take", "bag")),
    (["Shift+2"], ("action", "take", "bag")),
    (["n"], ("nothing", None, None)),
    ([*"nudge parcel", "ArrowDown", "Enter"], ("action", "nudge", "parcel")),
)


def answers(store):
    return [entry.statement.answer for entry in read_log(store, STORE)]


def test_the_first_clip_loops_at_once_and_keys_answer_and_go_on(visit, store):
    page = visit()
    expect(page.locator("#suggestions button").first).to_contain_text("put meat")
    expect(page.locator(SHOWN)).to_have_js_property("loop", True)
    expect(page.locator(SHOWN)).to_have_js_property("paused", False)
    expect(page.locator("#clip-time")).to_have_text(re.compile(r"0\.[1-9]"))
    expect(page.locator(BEHIND)).to_have_js_property("readyState", 4)
    for number, (keys, _) in enumerate(ANSWERS, start=1):
        press(page, *keys[:-1])
        press(page, keys[-1])
        expect(page.locator("#status")).to_contain_text(f"; {number} of 120 done.")
    statements = [entry.statement for entry in read_log(store, STORE)]
    assert [(said.answer, said.verb, said.noun) for said in statements] == [wanted for _, wanted in ANSWERS]
    press(page, "u", "Control+z")
    expect(page.locator("#status")).to_have_text(f"Saved: undo of unsure; {len(ANSWERS)} of 120 done.")


def test_reloads_in_the_middle_lose_nothing_and_memory_does_not_grow_with_each_answer(visit, store):
    page = visit()
    page.add_init_script(COUNT)
    # Behind n or u, a letter that comes at once would make a word.
    keys = ("Enter", "u", "Shift+2", "1", "n")
    for number in range(30):
        press(page, keys[number % len(keys)])
        if number in (5, 11):
            page.reload()
    expect(page.locator("#done")).to_have_text("30 of 120 done")
    statements = [entry.statement for entry in read_log(store, STORE)]
    assert len({said.uid for said in statements}) == len(statements) == 30
    assert [answers(store).count(answer) for answer in ("action", "nothing", "unsure")] == [18, 6, 6]
    assert page.evaluate("numAddresses") <= NUM_AHEAD + 4


TO = "\N{EN DASH}"
# One call: the page draws the grips anew whenever labels of others arrive.
BOXES = "() => [[...document.querySelectorAll('.grip')].at(-1), document.getElementById('timeline')].map((box) => box.getBoundingClientRect().toJSON())"


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
    expect(page.locator("#interval-time")).to_have_text(re.compile(r"^0:(0[4-9]|[1-3]\d)\."))
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
