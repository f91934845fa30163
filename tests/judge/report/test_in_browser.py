"""The page as people see it: on a desk and on a phone, in the light and in the dark."""

import pytest
from playwright.sync_api import expect

from tests.judge.report.conftest import PREDICTIONS

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
# Contrast of every text with what lies behind it, by WCAG 2.1; backgrounds with a share of transparency are laid over one another.
CONTRAST = """() => {
  const rgba = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = c => { const l = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * l[0] + .7152 * l[1] + .0722 * l[2]; };
  const behind = e => { if (!e) return [255, 255, 255]; const s = getComputedStyle(e); let c = over(rgba(s.backgroundColor), behind(e.parentElement));
    const heat = s.backgroundImage.match(/rgba?\\([^)]*\\)/); return heat && e.tagName === 'TD' ? over(rgba(heat[0]), c) : c; };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || e.closest('video, title, desc')) continue;
    const s = getComputedStyle(e), ink = rgba(e.closest('svg') ? s.fill : s.color), back = behind(e);
    const [a, b] = [light(over(ink, back)), light(back)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.add(`${e.tagName}.${e.className.baseVal ?? e.className} ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""


@pytest.fixture
def show(browser, page_of, tmp_path):
    """Opens the page of a case from a file; fails on any other request, and on any word in the console."""
    opened, strays = [], []

    def show(case, viewport, **options):
        file = tmp_path / "report.html"
        file.write_text(page_of(case), encoding="utf-8")
        shown = browser.new_page(viewport=viewport, **options)
        opened.append(shown)
        shown.on("request", lambda r: strays.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
        shown.on("console", lambda message: strays.append(message.text))
        shown.on("pageerror", lambda error: strays.append(str(error)))
        shown.goto(file.as_uri())
        return shown

    yield show
    for shown in opened:
        shown.close()
    assert strays == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["usual", "original", "one clip", "hostile", "bare", "search of two objectives", "hostile search", *PREDICTIONS]
)
def test_all_text_has_contrast_in_the_light_and_in_the_dark_and_a_phone_never_scrolls_sideways(show, case):
    shown = show(case, DESK, color_scheme="light")
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert shown.evaluate(CONTRAST) == []
    shown.emulate_media(color_scheme="dark")
    assert shown.evaluate(CONTRAST) == []
    shown.set_viewport_size(PHONE)
    assert shown.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_verdict_and_the_first_scores_are_on_the_first_screen(show):
    shown = show("original", DESK)
    for selector in (".verdict", ".why summary", ".facts", ".scores[data-target=verb]", ".scores[data-target=noun]"):
        box = shown.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= DESK["height"]


def test_matrices_stand_side_by_side_on_a_desk_and_wide_tables_scroll_in_their_own_box_on_a_phone(show):
    shown = show("usual", DESK)
    for matrices in shown.locator(".matrices").all():
        left, right = (matrices.locator("figure").nth(i).bounding_box() for i in range(2))
        assert left["y"] + left["height"] == pytest.approx(right["y"] + right["height"], abs=2)
        assert left["x"] + left["width"] <= right["x"]
    assert shown.locator(".matrices").count() == 3
    shown.set_viewport_size(PHONE)
    assert shown.evaluate("(() => { const b = document.querySelector('#scores .scroll'); return b.scrollWidth > b.clientWidth })()")


def test_the_contents_lead_to_their_sections_in_the_frame_that_mlflow_shows_pages_in(browser, page_of):
    shown = browser.new_page(viewport=DESK)
    shown.route("http://mlflow.test/", lambda route: route.fulfill(body="<!DOCTYPE html>", content_type="text/html"))
    shown.goto("http://mlflow.test/")
    shown.evaluate(
        """html => {
          const frame = document.createElement('iframe');
          frame.sandbox = 'allow-scripts';
          frame.src = URL.createObjectURL(new Blob([html], {type: 'text/html'}));
          frame.width = 1200, frame.height = 800;
          document.body.append(frame);
        }""",
        page_of("original"),
    )
    frame = shown.frame_locator("iframe")
    frame.get_by_role("link", name="Provenance").click()
    expect(frame.locator("#provenance h2")).to_be_in_viewport()
    shown.close()


def test_the_page_needs_no_script(show):
    shown = show("original", DESK, java_script_enabled=False)
    shown.get_by_role("link", name="Provenance").click()
    expect(shown.locator("#provenance h2")).to_be_in_viewport()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_words_of_a_timeline_stay_within_their_stretch(show, viewport):
    shown = show("usual prediction", viewport)
    texts = """() => [...document.querySelectorAll('.line text')].filter(t => t.checkVisibility()).map(
      t => [t.getBoundingClientRect().right, t.parentElement.querySelector('rect').getBoundingClientRect().right])"""
    ends = shown.evaluate(texts)
    assert ends
    assert [(text, stretch) for text, stretch in ends if text > stretch] == []
