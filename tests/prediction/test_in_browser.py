"""The page as people see it: on a desk and on a phone, in the light and in the dark."""

import pytest

from tasks.prediction.page import page
from tests.prediction.pages import CASES
from tests.report.test_in_browser import CONTRAST, DESK, PHONE

pytestmark = pytest.mark.browser


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of a case from a file, without scripts; fails on any request but for that file."""
    strays = []

    def show(case, viewport, scheme="light"):
        file = tmp_path / "report.html"
        file.write_text(page(CASES[case]()), encoding="utf-8")
        shown = browser.new_page(viewport=viewport, color_scheme=scheme)
        shown.on("request", lambda r: strays.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
        shown.on("console", lambda message: strays.append(message.text))
        shown.goto(file.as_uri())
        shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return shown

    yield show
    assert strays == []


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_phone_never_scrolls_sideways(show, case):
    shown = show(case, PHONE)
    assert shown.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    shown.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(show, scheme):
    shown = show("usual", DESK, scheme)
    assert shown.evaluate(CONTRAST) == []
    shown.close()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_words_of_a_timeline_stay_within_their_stretch(show, viewport):
    shown = show("usual", viewport)
    texts = """() => [...document.querySelectorAll('.line text')].filter(t => t.checkVisibility()).map(
      t => [t.getBoundingClientRect().right, t.parentElement.querySelector('rect').getBoundingClientRect().right])"""
    ends = shown.evaluate(texts)
    assert ends
    assert [(text, stretch) for text, stretch in ends if text > stretch] == []
    shown.close()
