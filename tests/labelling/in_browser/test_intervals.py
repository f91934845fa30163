"""The view *Intervals*: in and out points, suggestions, overlaps, undo."""

import re

import pytest
from playwright.sync_api import expect

from tasks.dataset.statements import Ledger
from tasks.media.label_log import read_log
from tasks.prediction.interval_files import COLUMNS
from tasks.store.layout import Layout
from tests.labelling.in_browser import shop

TO = "\N{EN DASH}"
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]


def standing(kitchen, video):
    return [(one.start_seconds, one.stop_seconds, one.verb, one.noun) for one in Ledger.of(read_log(*kitchen)).intervals(video)]


@pytest.fixture
def page(visit):
    page = visit(view="#intervals")
    expect(page.locator("#predicted-list button")).to_have_count(10)
    page.keyboard.press("Space")
    expect(page.locator("#interval-state")).to_contain_text("paused")
    page.keyboard.press("Home")
    expect(page.locator("#interval-time")).to_have_text("0:00.00 of 0:40.00")
    return page


@pytest.fixture
def video(cut):
    return cut[1][0].video


def test_in_and_out_points_and_words_make_an_interval(page, kitchen, video):
    page.keyboard.press("i")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#interval-time")).to_have_text("0:02.03 of 0:40.00")
    page.keyboard.press("o")
    page.keyboard.type("put meat")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(f"Saved put meat 0:00.00{TO}0:02.03; 2 of 120 done.")
    assert standing(kitchen, video) == [(0, 2.033, "put", "meat")]


def test_an_interval_labels_its_clips_in_all_views_and_is_withdrawn_in_review(page, kitchen, video):
    page.keyboard.press("i")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("o")
    page.keyboard.type("whisk egg")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_have_text("2 of 120 done")
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
    assert standing(kitchen, video) == []
    page.locator("#to-intervals").click()
    expect(page.locator("#interval-list button")).to_have_count(0)


def test_intervals_overlap_and_change_and_an_undo_brings_the_earlier_one_back(page, kitchen, video):
    for start, stop, words in (("1", "5", "put meat"), ("2.5", "4", "take bag")):
        page.locator("#in").fill(start)
        page.locator("#out").fill(stop)
        page.locator("#out").press("Tab")
        page.locator("#interval-words input").fill(words)
        page.locator("#interval-words input").press("Enter")
        expect(page.locator("#status")).to_contain_text(f"Saved {words}")
    assert standing(kitchen, video) == [(1, 5, "put", "meat"), (2.5, 4, "take", "bag")]
    page.locator("#interval-list button.item").first.click()
    page.locator("#out").fill("6")
    page.locator("#out").press("Tab")
    page.locator("#interval-save").click()
    expect(page.locator("#status")).to_contain_text(f"Saved put meat 0:01.00{TO}0:06.00")
    assert standing(kitchen, video) == [(1, 6, "put", "meat"), (2.5, 4, "take", "bag")]
    page.keyboard.press("Control+z")
    expect(page.locator("#status")).to_contain_text("undo of put meat")
    expect(page.locator("#interval-list button.item").first).to_contain_text(f"0:01.00{TO}0:05.00")
    assert standing(kitchen, video) == [(1, 5, "put", "meat"), (2.5, 4, "take", "bag")]


def test_suggestions_are_accepted_by_keyboard_and_dragged_by_pointer(page, kitchen, video):
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
    first, second = standing(kitchen, video)
    assert first == (0, 4, "put", "meat")
    assert (second[0], second[2:]) == (4, ("take", "bag"))
    assert second[1] == pytest.approx(10, abs=0.1)
    last = read_log(*kitchen)[-1].statement
    assert (last.suggested.verb, last.suggested.noun, last.suggested.shown) == ("take", "bag", True)


def test_the_video_plays_on_from_clip_to_clip(page):
    page.keyboard.press("Space")
    expect(page.locator("#interval-time")).to_contain_text("0:02.")


def test_intervals_of_a_prediction_with_a_stride_are_suggested_instead_of_clips(visit, kitchen, cut, address):
    (first, second, *_), number = cut[1], "2.375"
    rows = [f"a.mp4,{first.video},champion,{number},5.5,wipe,pan,wipe pan,126,40,0.83"]
    rows.append(f"a.mp4,{first.video},baseline,0,9,move,pan,move pan,9,40,0.9")
    store, uri = kitchen
    store.write_bytes(Layout(uri).prediction("test").report.intervals, "\n".join([",".join(COLUMNS), *rows, ""]).encode())
    page = visit(view="#intervals")
    expect(page.locator("#predicted-list button")).to_have_count(1)
    expect(page.locator("#predicted-list button")).to_have_text(f"0:02.38{TO}0:05.50wipe pan83 %")
    expect(page.locator(".bar.predicted")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Saved wipe pan")
    assert standing(kitchen, first.video) == [(2.375, 5.5, "wipe", "pan")]
    page.locator("#interval-video").select_option(second.video)
    expect(page.locator("#predicted-list button")).to_have_count(10)


def test_a_second_reader_sees_no_interval_of_the_clip_until_they_answer(visit, kitchen, cut):
    clips = cut[1][0].clips
    with shop.served(*kitchen, second_share=1.0) as address:
        anna = visit(at=address)
        shop.press(anna, "Enter")
        expect(anna.locator("#done")).to_have_text("1 of 120 done")
        read = next(clip for clip in clips if clip.uid == read_log(*kitchen)[0].statement.uid)
        anna.goto(f"{address}#intervals/{read.video}")
        anna.locator("#in").fill(str(read.start_seconds))
        anna.locator("#out").fill(str(read.stop_seconds))
        anna.locator("#out").press("Tab")
        anna.locator("#interval-words input").fill("put meat")
        anna.locator("#interval-words input").press("Enter")
        expect(anna.locator("#interval-list button.item")).to_contain_text("put meat")
        expect(anna.locator("#status")).to_contain_text("Saved put meat")
        berta = visit("berta", at=address, view=f"#intervals/{read.video}")
        expect(berta.locator("#interval-list .note").first).to_contain_text("1 interval of others is hidden")
        expect(berta.locator("#interval-list button")).to_have_count(0)
        berta.locator("#to-clips").click()
        berta.locator("#filter-show").select_option("all")
        expect(berta.locator("#clip-reading")).to_be_visible()
        shop.press(berta, "n")
        expect(berta.locator("#status")).to_contain_text("Saved nothing happens")
        berta.locator("#to-intervals").click()
        expect(berta.locator("#interval-list button.item")).to_contain_text("put meat")


def test_blind_hides_the_suggestions_here_too(visit):
    page = visit()
    page.locator("#blind").check()
    expect(page.locator("#no-suggestion")).to_have_text("Blind: suggestions are hidden.")
    page.locator("#to-intervals").click()
    expect(page.locator("#predicted-list")).to_have_text("Hidden: blind is on in Clips.")
    page.locator("#timeline").wait_for()
    expect(page.locator(".bar.predicted")).to_have_count(0)
