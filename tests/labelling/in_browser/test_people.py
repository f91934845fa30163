"""Two people, a person who is logged out, and hostile names."""

import pytest
from playwright.sync_api import expect

from tasks.media.label_log import append, read_log
from tasks.results.labelling import ClipStatement
from tests.labelling.in_browser import shop
from tests.labelling.page import STORE, suggest

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_second_person_reads_without_seeing_what_the_first_said_and_review_shows_the_conflict(visit, store):
    with shop.served(store, STORE, second_share=1.0) as address:
        first = visit(at=address)
        for number in range(1, 6):
            shop.press(first, "Enter")
            expect(first.locator("#done")).to_have_text(f"{number} of 120 done")
        read = min((entry.statement for entry in read_log(store, STORE)), key=lambda said: (said.video, said.start_seconds))
        first.goto(f"{address}#intervals/{read.video}")
        first.locator("#in").fill(str(read.start_seconds))
        first.locator("#out").fill(str(read.stop_seconds))
        first.locator("#out").press("Tab")
        first.locator("#interval-words input").fill("put meat")
        first.locator("#interval-words input").press("Enter")
        expect(first.locator("#status")).to_contain_text("Saved put meat 0:")
        second = visit("berta", f"#intervals/{read.video}", address)
        expect(second.locator("#interval-list .note").first).to_contain_text("1 interval of others is hidden")
        expect(second.locator("#interval-list button")).to_have_count(0)
        second.locator("#to-clips").click()
        for number in range(9):
            shop.press(second, "n")
            expect(second.locator("#remaining")).to_contain_text(f"{number + 1} by you")
        expect(second.locator("#clip-reading")).to_be_visible()
        expect(second.locator("#suggestions button")).to_have_count(0)
        expect(second.locator("#clip-why")).to_be_empty()
        expect(second.locator("#clip-label")).to_be_hidden()
        shop.press(second, *"take bag", "Enter")
        expect(second.locator("#status")).to_contain_text("Saved take bag")
        second.locator("#to-review").click()
        expect(second.locator("#agreement")).to_contain_text("Of 1 clip read twice, 0 % have the same answer.")
        second.locator("#review-show").select_option("conflicts")
        expect(second.locator("#review-count")).to_contain_text("1 label;")
        expect(second.locator(".flag")).to_have_text("people differ")
        second.locator("#review-show").select_option("all")
        second.locator("#review-by").select_option("anna")
        expect(second.locator("#review-count")).to_contain_text("4 more hidden until you have read their clips as the second person")
        first.locator("#to-review").click()
        expect(first.locator("#review-count")).to_contain_text("more hidden")
        second.goto(f"{address}#intervals/{read.video}")
        expect(second.locator("#interval-list button.item")).to_contain_text("put meat")


def test_a_person_who_is_logged_out_keeps_the_answers_for_later(visit, store):
    page = visit()
    page.route("**/statements", lambda route: route.fulfill(status=401, json={"detail": "no"}))
    shop.press(page, "Enter")
    shop.press(page, "n")
    expect(page.locator("#banner")).to_contain_text("You are no longer logged in. 2 answers not saved yet")
    page.unroute("**/statements")
    page.reload()
    expect(page.locator("#done")).to_have_text("2 of 120 done")
    assert [entry.statement.answer for entry in read_log(store, STORE)] == ["action", "nothing"]


def test_hostile_names_are_text_everywhere(visit, store, cuts):
    span = {name: getattr(cuts[0].clips[0], name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
    said = {"token": "00000000-0001", "by": HOSTILE, "at": "2026-01-01T00:00:00Z", "answer": "action", "verb": HOSTILE, "noun": HOSTILE}
    append(store, STORE, ClipStatement(**span, **said), 0)
    suggest(store, cuts, (("<b>put</b>", '"><script>alert(1)</script>'), ("take", HOSTILE.replace(" ", "-"))))
    page = visit()
    expect(page.locator("#suggestions button").first).to_contain_text('<b>put</b> "><script>alert(1)</script>')
    page.locator("#clip-words input").fill("<b>")
    expect(page.locator("[role=option]").first).to_contain_text("<b>put</b>")
    page.locator("#clip-words input").press("Escape")
    for view in ("intervals", "review", "classes"):
        page.locator(f"#to-{view}").click()
        expect(page.locator(f"#view-{view}")).to_contain_text("<")
    assert page.locator("main img, main script, main b, dialog img").count() == 0
