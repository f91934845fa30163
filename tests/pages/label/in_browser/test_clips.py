"""The view *Clips*: answers by keyboard, and what becomes of them."""

import re

import pytest
from playwright.sync_api import expect

from tasks.data.clips.label_inputs import read_log
from tests.pages.label.in_browser.shop import press
from tests.pages.label.page import STORE

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
NUM_AHEAD = 5
"""The clips that the page reads ahead."""
# How many addresses of films are held.
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
