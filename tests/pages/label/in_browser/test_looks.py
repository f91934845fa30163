"""The page's speed, width and accessibility, and names that are never more than text."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tasks.data.clips.label_inputs import append_to_log
from tasks.store.records.labelling import ClipStatement
from tests.pages.label.in_browser import shop
from tests.pages.label.in_browser.conftest import DESK, Visits
from tests.pages.label.in_browser.shop import READY, press
from tests.pages.label.page import STORE, PageStore, suggest

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]
HOSTILE = "<img src=x onerror=alert(1)>"
SHOWN = {"clips": "#suggestions button", "intervals": "#predicted-list button", "review": "#review-rows > *", "classes": "#class-verbs tr"}
"""An element of each view that is there once its data are read."""
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
NAME = "control => (control.ariaLabel || control.labels?.[0]?.textContent || control.textContent).trim()"
CONTROLS = f"""() => [...document.querySelectorAll('button, a, input, select, summary')]
  .filter(control => control.checkVisibility() && !control.disabled).map({NAME})"""


@pytest.fixture(scope="module")
def page_in_use(filled, browser):
    """A page with one answer, for tests that only look."""
    visits = Visits(browser)
    with shop.served(PageStore(filled[0].objects), STORE, second_share=0.0) as address:
        page = visits.open(address)
        press(page, "Enter")
        expect(page.locator("#done")).to_have_text("1 of 120 done")
        yield page
        visits.close()


@pytest.fixture(params=SHOWN)
def view(page_in_use, request):
    """The page with a view that is open."""
    page_in_use.set_viewport_size(DESK)
    page_in_use.locator(f"#to-{request.param}").click()
    expect(page_in_use.locator(f"#view-{request.param}")).to_be_visible()
    expect(page_in_use.locator(SHOWN[request.param]).first).to_be_visible()
    page_in_use.wait_for_load_state("networkidle")
    return page_in_use


def test_no_view_scrolls_sideways(view):
    for width in (400, 800, 1280):
        view.set_viewport_size({"width": width, "height": 800})
        assert view.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_view_that_a_screen_reader_cannot_use_and_no_text_without_contrast(view, scheme):
    view.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    view.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    view.set_viewport_size({"width": 1280 if scheme == "dark" else 400, "height": 800})
    report = Axe().run(view, options=RULES)
    assert report.violations_count == 0, report.generate_report()


def test_axe_finds_nothing_in_the_list_of_keys(page_in_use):
    page_in_use.keyboard.press("?")
    expect(page_in_use.locator("#help-title")).to_be_in_viewport()
    report = Axe().run(page_in_use, options=RULES)
    page_in_use.keyboard.press("Escape")
    expect(page_in_use.locator("#help")).to_be_hidden()
    assert report.violations_count == 0, report.generate_report()


def test_every_control_has_a_name_and_is_reached_by_tab(view):
    names = view.evaluate(CONTROLS)
    assert all(names), names
    view.locator("h1").click()
    reached = set()
    for _ in range(len(names) + 3):
        view.keyboard.press("Tab")
        reached.add(view.evaluate(f"({NAME})(document.activeElement)"))
    assert set(names) <= reached


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


def test_keys_reach_the_page_in_the_frame_of_airflow_and_links_lead_out_of_it(visit, address):
    page = visit(at=address.replace("retake/label/", "plugin/label"))
    frame = page.frame_locator("iframe")
    expect(frame.locator(READY)).to_be_visible()
    page.keyboard.press("Enter")
    expect(frame.locator("#status")).to_have_text("Saved: put meat; 1 of 120 done.")
    run = {"dag_id": "retrain", "dag_run_id": "r1", "state": "running", "start_date": "2026-01-01T00:00:00Z"}
    page.route("**/dagRuns/list", lambda route: route.fulfill(json={"dag_runs": [run]}))
    page.route("**/dags/retrain/runs/r1", lambda route: route.fulfill(body="the run"))
    frame.locator("#stop-open").click()
    frame.get_by_role("link", name="retrain").click()
    page.wait_for_url("**/dags/retrain/runs/r1")


def test_hostile_names_are_text_everywhere(visit, store, cuts):
    span = {name: getattr(cuts[0].clips[0], name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
    said = {"token": "00000000-0001", "by": HOSTILE, "at": "2026-01-01T00:00:00Z", "answer": "action", "verb": HOSTILE, "noun": HOSTILE}
    append_to_log(store, STORE, ClipStatement(**span, **said), 0)
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
