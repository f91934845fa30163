"""How fast the page is, how wide, and how it reads."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.labelling.in_browser.conftest import DESK
from tests.labelling.in_browser.shop import press
from tests.report.test_in_browser import CONTRAST

READY = "#stage[aria-busy=false]"
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
VIEWS = ("clips", "intervals", "review", "classes")
# From the navigation to the first frame of the first clip.
FIRST = """() => new Promise(resolve => {
  const look = () => {
    const video = document.querySelector('#clip-screen video:not(.behind)');
    if (video?.readyState > 2 && video.currentTime > 0) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
# From the key to the first frame of the next clip on the screen.
NEXT = """() => new Promise(resolve => {
  const box = document.querySelector('#clip-screen'), before = box.querySelector('video:not(.behind)'), start = performance.now();
  const look = () => {
    const now = box.querySelector('video:not(.behind)');
    if (now !== before && now.readyState > 2 && now.currentTime > 0) resolve(performance.now() - start);
    else requestAnimationFrame(look);
  };
  document.dispatchEvent(new KeyboardEvent('keydown', {key: 'n', bubbles: true}));
  look();
})"""

# WCAG 2.2 AA, and what axe-core recommends besides.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
NAME = "one => (one.ariaLabel || one.labels?.[0]?.textContent || one.textContent).trim()"
CONTROLS = f"""() => [...document.querySelectorAll('button, a, input, select, summary')]
  .filter(one => one.checkVisibility() && !one.disabled).map({NAME})"""


def open_view(page, view):
    page.locator(f"#to-{view}").click()
    expect(page.locator(f"#view-{view}")).to_be_visible()
    shown = {
        "clips": "#suggestions button",
        "intervals": "#predicted-list button",
        "review": "#review-rows > *",
        "classes": "#class-verbs tr",
    }
    expect(page.locator(shown[view]).first).to_be_visible()
    page.wait_for_load_state("networkidle")


def views_in_use(page):
    """Answer a clip, then open one view after another."""
    press(page, "Enter")
    expect(page.locator("#done")).to_have_text("1 of 120 done")
    for view in VIEWS:
        open_view(page, view)
        yield view


def test_the_page_shows_a_clip_within_a_second_and_the_next_within_200_ms(visit):
    page = visit()
    expect(page.locator(READY)).to_be_visible()
    page.reload()
    ready = page.evaluate(FIRST)
    times = []
    for _ in range(9):
        expect(page.locator("#clip-screen video.behind")).to_have_js_property("readyState", 4)
        times.append(page.evaluate(NEXT))
    # The machine of the tests is busy with other tests: their limits are wider than those of the page.
    assert ready < 3000
    assert sorted(times)[4] < 200


def test_keys_reach_the_page_in_the_frame_that_airflow_shows_it_in(visit, address):
    page = visit(at=address.replace("retake/label/", "plugin/label"))
    frame = page.frame_locator("iframe")
    expect(frame.locator(READY)).to_be_visible()
    page.keyboard.press("Enter")
    expect(frame.locator("#status")).to_have_text("Saved put meat; 1 of 120 done.")


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_no_view_scrolls_sideways(visit, width):
    page = visit(viewport={"width": width, "height": 800})
    for view in views_in_use(page):
        assert page.evaluate("document.documentElement.scrollWidth") == width, view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(visit, scheme):
    page = visit(viewport=DESK, color_scheme=scheme)
    for view in views_in_use(page):
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        # Controls that cannot be used now need no contrast (WCAG 1.4.3).
        page.evaluate("document.querySelectorAll(':disabled').forEach(one => (one.hidden = true))")
        assert page.evaluate(CONTRAST) == [], view


@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_no_view_that_a_screen_reader_cannot_use(visit, width):
    page = visit(viewport={"width": width, "height": 800})
    for view in views_in_use(page):
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, (view, found.generate_report())
    page.keyboard.press("?")
    expect(page.locator("#help-title")).to_be_in_viewport()
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def test_every_control_has_a_name_and_is_reached_by_tab(visit):
    page = visit()
    expect(page.locator(READY)).to_be_visible()
    for view in VIEWS:
        open_view(page, view)
        names = page.evaluate(CONTROLS)
        assert all(names), (view, names)
        page.locator("h1").click()
        reached = set()
        for _ in range(len(names) + 3):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(f"({NAME})(document.activeElement)"))
        assert set(names) <= reached, view


def test_what_a_screen_reader_says_of_an_answer_is_short_and_its_letters_reach_the_page(visit):
    page = visit()
    expect(page.locator(READY)).to_be_visible()
    # In an application, screen readers leave letters to the page; a name that changed with each clip would be read with each answer.
    for stage in ("#stage", "#interval-stage"):
        expect(page.locator(stage)).to_have_attribute("role", "application")
        expect(page.locator(stage)).to_have_attribute("aria-label", re.compile("; . lists the keys"))
    expect(page.locator("#spoken")).to_have_text("kitchen_01.mp4 0:00.00. Suggested: put meat, 90 %.")
    press(page, "Enter")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"kitchen_0.\.mp4 0:0.\.00\. Suggested: "))
    expect(page.locator("#status")).to_have_text("Saved put meat; 1 of 120 done.")
    press(page, "Backspace")
    expect(page.locator("#spoken")).to_have_text("kitchen_01.mp4 0:00.00. Answer: put meat (by anna).")


def test_single_keys_can_be_turned_off(visit):
    page = visit()
    expect(page.locator(READY)).to_be_visible()
    page.keyboard.press("?")
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("n")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Saved put meat; 1 of 120 done.")


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("pu", ["put …", "put meat"]),
        ("put po", ["put potato", "put po | new noun"]),
        ("put meta", ["put meat | did you mean this?", "put meta | new noun"]),
        ("putt meat", ["put meat | did you mean this?", "putt meat | new verb"]),
        ("Put  MEAT", ["put meat"]),
        ("put <b>", []),
        ("noth", ["nothing happens", "noth … | new verb"]),
        ("meat", ["take meat", "put meat", "move meat"]),
    ],
)
def test_words_are_found_while_they_are_typed(visit, typed, options):
    page = visit()
    expect(page.locator(READY)).to_be_visible()
    page.locator("#clip-words input").fill(typed)
    found = page.locator("#clip-words [role=option]")
    shown = [" | ".join(one.locator("span, small").all_text_contents()) for one in found.all()]
    assert [text for text in options if text not in shown] == []
    assert len(shown) == len(options) or typed in ("pu", "meat")
