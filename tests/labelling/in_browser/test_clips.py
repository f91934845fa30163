"""The view *Clips*: answers by keyboard, and what becomes of them."""

import re

import pytest
from playwright.sync_api import expect

from tasks.media.label_log import read_log
from tests.labelling.in_browser import shop
from tests.labelling.in_browser.shop import press

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
NUM_ASKED = 20
"""The clips of one answer to the page."""
NUM_AHEAD = 5
"""The clips that the page reads ahead."""
# How often a film was let go of that a video element still has.
FREED = """
  window.numFreed = 0;
  const free = URL.revokeObjectURL;
  URL.revokeObjectURL = (url) => {
    numFreed += [...document.querySelectorAll('#clip-screen video')].filter((video) => video.src === url).length;
    free.call(URL, url);
  };"""
SHOWN = "#clip-screen video:not(.behind)"
ANSWERS = (
    ["Enter"],
    ["2"],
    ["n"],
    ["u"],
    ["Shift+2"],
    [*"move sauce", "Enter"],
    [*"ta", "Tab", *"ba", "Enter"],
    ["/", *"nudge pan", "ArrowDown", "Enter"],
    [*"nudge pan", "ArrowDown", "Enter"],
    [*"unwrap parcel", "ArrowDown", "Enter"],
)


def test_the_first_clip_loops_at_once_and_the_next_are_there(visit):
    page = visit()
    expect(page.locator("#suggestions button").first).to_contain_text("put meat")
    expect(page.locator(SHOWN)).to_have_js_property("loop", True)
    expect(page.locator(SHOWN)).to_have_js_property("paused", False)
    expect(page.locator("#clip-time")).to_have_text(re.compile(r"0\.[1-9]"))
    expect(page.locator("#clip-screen video.behind")).to_have_js_property("readyState", 4)


@pytest.mark.parametrize("keys", ANSWERS, ids="".join)
def test_keys_answer_and_go_on(visit, kitchen, keys):
    page = visit()
    press(page, "Enter")
    expect(page.locator("#status")).to_have_text("Saved put meat; 1 of 120 done.")
    press(page, *"take bag", "Enter")
    expect(page.locator("#status")).to_have_text("Saved take bag; 2 of 120 done.")
    press(page, *keys[:-1])
    press(page, keys[-1])
    expect(page.locator("#done")).to_have_text("3 of 120 done")
    said = {
        "Enter": ("action", "put", "meat"),
        "2": ("action", "take", "bag"),
        "n": ("nothing", None, None),
        "u": ("unsure", None, None),
        "Shift+2": ("action", "take", "bag"),
        "move sauceEnter": ("action", "move", "sauce"),
        "taTabbaEnter": ("action", "take", "bag"),
        "/nudge panArrowDownEnter": ("action", "nudge", "pan"),
        "nudge panArrowDownEnter": ("action", "nudge", "pan"),
        "unwrap parcelArrowDownEnter": ("action", "unwrap", "parcel"),
    }["".join(keys)]
    last = read_log(*kitchen)[-1].statement
    assert (last.answer, last.verb, last.noun, last.by) == (*said, "anna")
    assert last.suggested.shown


@pytest.mark.parametrize("word", ["unwrap", "nudge", "nut"])
@pytest.mark.parametrize("rhythm", ["rolled over", "one by one", "slow"])
def test_words_that_begin_with_the_letter_of_an_answer_are_typed_at_any_usual_speed(visit, kitchen, word, rhythm):
    page = visit()
    caption = page.locator("#clip-caption")
    expect(page.locator("#stage[aria-busy=false]")).to_be_visible()
    before = caption.text_content()
    if rhythm == "rolled over":
        page.keyboard.down(word[0])
        page.keyboard.down(word[1])
        page.keyboard.up(word[0])
        page.keyboard.up(word[1])
        page.keyboard.type(word[2:])
    else:
        page.keyboard.type(word, delay=200 if rhythm == "slow" else 0)
    expect(page.locator("#clip-words input")).to_have_value(word)
    expect(page.locator("#clip-words input")).to_be_focused()
    expect(caption).to_have_text(before)
    page.keyboard.press("Escape")
    press(page, "Enter")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    assert [entry.statement.answer for entry in read_log(*kitchen)] == ["action"]


def test_the_same_letter_again_answers_the_next_clip(visit, kitchen):
    page = visit()
    for _ in range(3):
        press(page, "n")
    expect(page.locator("#done")).to_have_text("3 of 120 done")
    assert [entry.statement.answer for entry in read_log(*kitchen)] == ["nothing"] * 3


def test_an_undo_at_once_takes_an_answer_by_a_letter_back(visit):
    page = visit()
    press(page, "u", "Control+z")
    expect(page.locator("#status")).to_have_text("Saved undo of unsure; 0 of 120 done.")


def test_a_hundred_clips_by_keyboard_with_reloads_lose_nothing(visit, kitchen):
    page = visit()
    # Behind n or u, a letter that comes at once would make a word.
    keys = ("Enter", "u", "Shift+2", "1", "n")
    for number in range(100):
        press(page, keys[number % len(keys)])
        if number % 20 == 19:
            page.reload()
    expect(page.locator("#done")).to_have_text("100 of 120 done")
    statements = [entry.statement for entry in read_log(*kitchen)]
    assert len({one.uid for one in statements}) == len(statements) == 100
    answers = [one.answer for one in statements]
    assert (answers.count("action"), answers.count("nothing"), answers.count("unsure")) == (60, 20, 20)


def test_a_list_that_comes_late_goes_on_by_itself(visit):
    page = visit()
    expect(page.locator("#stage[aria-busy=false]")).to_be_visible()
    held = []
    page.route("**/queue*", lambda route: held.append(route))
    for _ in range(NUM_ASKED):
        press(page, "n")
    expect(page.locator("#clip-end")).to_have_text("Reading clips …")
    [asked] = held
    asked.continue_()
    page.unroute("**/queue*")
    press(page, "n")
    expect(page.locator("#done")).to_have_text(f"{NUM_ASKED + 1} of 120 done")


@pytest.mark.parametrize("view", ["review", "intervals", "classes"])
def test_a_clip_takes_answers_after_a_visit_to_another_view(visit, view):
    page = visit()
    expect(page.locator("#clip-time")).to_have_text(re.compile(r"0\.[1-9]"))
    page.evaluate(FREED)
    page.locator(f"#to-{view}").click()
    expect(page.locator(f"#view-{view}")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.locator("#to-clips").click()
    press(page, "n")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    assert page.evaluate("numFreed") == 0


def test_a_clip_takes_answers_after_the_undo_of_its_answer(visit):
    page = visit()
    press(page, "Enter")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    press(page, "Backspace")
    expect(page.locator("#clip-time")).to_have_text(re.compile(r"0\.[1-9]"))
    press(page, "Control+z")
    expect(page.locator("#done")).to_have_text("0 of 120 done")
    press(page, "n")
    expect(page.locator("#done")).to_have_text("1 of 120 done")


def test_no_answer_is_about_a_clip_whose_film_is_not_there_yet(visit):
    page, held = visit(), []
    expect(page.locator("#clip-screen video.behind")).to_have_js_property("readyState", 4)
    for _ in range(NUM_AHEAD):
        page.keyboard.press("PageDown")
        expect(page.locator("#stage[aria-busy=false]")).to_be_visible()
    page.route("**/clips/*.mp4", lambda route: held.append(route))
    while not held:
        press(page, "PageDown")
    for _ in range(NUM_AHEAD):
        page.keyboard.press("PageDown")
    expect(page.locator("#stage[aria-busy=true]")).to_be_visible()
    page.evaluate("document.querySelector('#clip-screen video:not(.behind)').dispatchEvent(new Event('seeked'))")
    page.keyboard.press("n")
    expect(page.locator("#status")).to_have_text("The clip is not there yet.")
    for one in held:
        one.continue_()
    page.unroute("**/clips/*.mp4")
    press(page, "n")
    expect(page.locator("#done")).to_have_text("1 of 120 done")


def test_blind_hides_what_the_model_answers_also_where_it_says_why(visit):
    page = visit()
    expect(page.locator("#clip-why")).to_contain_text("put meat 38 %")
    expect(page.locator("#spoken")).to_contain_text("Suggested: put meat")
    page.locator("#blind").check()
    expect(page.locator("#clip-why")).to_be_empty()
    expect(page.locator("#spoken")).to_have_text("kitchen_01.mp4 0:00.00. No suggestion.")
    page.locator("#blind").uncheck()
    expect(page.locator("#clip-why")).to_contain_text("put meat 38 %")


def test_people_choose_among_ways_of_cutting(visit, kitchen, cut):
    shop.cut_longer(*kitchen, cut[1][0])
    page = visit()
    expect(page.locator("#filter-cut option")).to_have_text(["1 s, 30 fps, 128 px (3 videos)", "2 s, 30 fps, 128 px (1 video)"])
    press(page, "Enter")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    page.locator("#filter-cut").select_option(index=1)
    expect(page.locator("#done")).to_have_text("0 of 20 done")
    page.locator("#stage").focus()
    press(page, "n")
    expect(page.locator("#status")).to_have_text("Saved nothing happens; 1 of 20 done.")
    last = read_log(*kitchen)[-1].statement
    assert last.stop_seconds - last.start_seconds == 2
    page.locator("#to-intervals").click()
    expect(page.locator("#interval-video option")).to_have_count(1)
    page.locator("#to-clips").click()
    page.locator("#filter-cut").select_option(index=0)
    expect(page.locator("#done")).to_have_text("1 of 120 done")


def test_one_way_of_cutting_is_no_choice(visit):
    page = visit()
    expect(page.locator("#done")).to_have_text("0 of 120 done")
    expect(page.locator("#filter-cut")).to_be_hidden()
