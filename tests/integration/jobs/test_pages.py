"""Open the pages after `make run` in a real Chromium: Airflow's grid and form, ours, and the evidence in MLflow."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tasks.local.choices import SAMPLE_OPTIONS
from tasks.local.run import SAMPLE_STORE
from tasks.options import LIGHT
from tasks.store.layout import Layout
from tasks.store.records.training import Recipe
from tests.integration.jobs.browser import Browser, open_browser
from tests.integration.jobs.whole_job import Kitchen, MadeRun

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.timeout(900)]

MODEL = str(SAMPLE_OPTIONS["model_name"])
CHOSEN = {"store": SAMPLE_STORE, "preset": "sample", "crops": 1, "model_name": MODEL, "promotion": "approve"}
RECIPE = Recipe(options=LIGHT.model_copy(update={"feature_variants": 1}))
"""What the sample run was trained with."""
SECTIONS = {"": ("store", "preset", "promotion"), "Evaluation": ("crops",), "Registration": ("model_name",)}
"""The section of each field in the form; the first is open."""
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def browser(kitchen, sample_run) -> Iterator[Browser]:
    with open_browser(kitchen) as opened:
        yield opened


@pytest.fixture
def page(browser) -> Page:
    return browser.page


@pytest.fixture
def trained(sample_run) -> str:
    return f"/dags/retrain/runs/{sample_run.retrain.run_id}"


def fill(form: Locator, name: str, value: object) -> None:
    """Fill a field of the trigger form: a text, a number or a list of choices."""
    choices = form.locator(f"#element_{name} [role=combobox]")
    field = choices if choices.count() else form.locator(f"input[name='element_{name}']")
    field.fill(str(value))
    field.press("Enter" if choices.count() else "Tab")
    # Airflow's form loses a change that comes before it has drawn the one before.
    field.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_grid_has_every_step_of_the_run(browser, page, trained):
    browser.airflow(trained)
    for group in ("prepare", "publish"):
        page.locator(f"a[href='/dags/retrain/tasks/group/{group}']").get_by_label("Toggle group").click()
    for task in (
        "prepare.weights",
        "prepare.plan",
        "train",
        "evaluate",
        "publish.compare",
        "publish.report",
        "publish.register",
        "publish.decide",
    ):
        expect(page.locator(f"a[href='{trained}/tasks/{task}']").first).to_be_visible()
    browser.keep("grid")


def test_the_form_refuses_a_wrong_value(browser, page, kitchen: Kitchen):
    num_before = len(kitchen.runs("retrain"))
    form = browser.trigger_form("retrain")
    browser.keep("form")
    fill(form, "epochs", 0)
    expect(form.locator("input[name='element_epochs']")).to_have_value("1")
    expect(form.get_by_text("Allowed: 1 to 1000").first).to_be_visible()
    fill(form, "store", "my bucket")
    form.get_by_role("button", name="Trigger").click()
    expect(page.get_by_text("Failed to Trigger Dag").first).to_be_visible()
    expect(form.get_by_text(re.compile("Failed validating 'pattern'.*'my bucket'", re.DOTALL)).first).to_be_visible()
    assert len(kitchen.runs("retrain")) == num_before


def test_the_same_options_as_a_recipe_in_the_form_train_nothing_and_the_log_says_so(browser, page, kitchen: Kitchen):
    kitchen.store.write(Layout(SAMPLE_STORE).stored_recipe("sample"), RECIPE)
    num_before, before = len(kitchen.runs("retrain")), kitchen.listing(f"{SAMPLE_STORE}/runs/")
    form = browser.trigger_form("retrain")
    expect(form.get_by_text("Trainable layers", exact=True)).to_be_hidden()
    for title, names in SECTIONS.items():
        if title:
            form.get_by_role("button", name=title, exact=True).click()
        for name in names:
            fill(form, name, CHOSEN[name])
    form.get_by_role("button", name="Trigger").click()
    expect(form).to_be_hidden()
    browser.rest()
    kitchen.wait_for(lambda: len(kitchen.runs("retrain")) > num_before)
    run = kitchen.latest("retrain")
    kitchen.wait_for_success(run)
    states = kitchen.states(run)
    assert (states["prepare.weights"], states["prepare.plan"], states["train"], states["publish.decide"]) == ("success", *["skipped"] * 3)
    assert kitchen.listing(f"{SAMPLE_STORE}/runs/") == before
    browser.airflow(f"/dags/retrain/runs/{run.run_id}/tasks/prepare.plan")
    expect(page.get_by_text(re.compile("these options trained this dataset before")).first).to_be_visible()


def test_a_form_is_filled_in_from_an_address_and_starts_a_run(browser, page, kitchen: Kitchen):
    conf = {"max_video_minutes": 7, "sources": []}
    browser.airflow(f"/retake/trigger/?{urlencode({'dag': 'ingest_videos', 'conf': json.dumps(conf)})}")
    expect(page.get_by_label("Maximum video length, minutes")).to_have_value("7")
    page.get_by_role("button", name="Trigger").click()
    run = page.get_by_role("status").get_by_role("link")
    expect(run).to_have_attribute("href", re.compile("^/dags/ingest_videos/runs/manual"))
    assert kitchen.runs("ingest_videos")[0]["conf"] == {"max_video_minutes": 7}
    kitchen.wait_for_success(kitchen.latest("ingest_videos"))


def test_the_labelling_page_is_in_the_navigation_and_knows_the_clips(browser, page):
    browser.airflow("/")
    link = page.get_by_role("link", name="Label", exact=True)
    for scheme, name in (("dark", "icon_dark.svg"), ("light", "icon.svg")):
        page.emulate_media(color_scheme=scheme)
        icon = link.locator(f"img[src$='retake/label/static/{name}']")
        expect(icon).to_have_js_property("naturalWidth", 24)
    link.click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text(re.compile(r"^\d+ of \d+ done"))).to_be_visible()
    frame.get_by_label("Show").first.select_option("all")
    expect(frame.locator("video:not(.behind)").first).to_be_visible()
    browser.rest()


def test_retakes_own_page_is_first_in_the_navigation_fits_and_can_be_read_by_everybody(browser, page):
    browser.airflow("/")
    expect(page.get_by_role("link", name=re.compile("^(Retake|Label)$"))).to_have_text(["Retake", "Label"])
    page.get_by_role("link", name="Retake", exact=True).click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("#servers")).to_have_text("Airflow is healthy")
    browser.airflow(f"/retake/?store={SAMPLE_STORE}")
    expect(page.locator("#flow h2")).to_have_text(["Videos", "Labels", "Dataset", "Training", "Champion"])
    expect(page.locator("#next")).to_contain_text("ingest_videos")
    size = page.viewport_size
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light")):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        report = Axe().run(page, options=WCAG)
        assert report.violations_count == 0, report.generate_report()
        if width == 1280:
            assert page.evaluate("document.documentElement.scrollHeight") <= 800
            browser.keep("home" if scheme == "light" else "home_dark")
    page.set_viewport_size(size)


def test_airflow_leads_to_mlflow_and_back(browser, page, trained, kitchen: Kitchen):
    browser.airflow(f"{trained}/tasks/publish.compare/details")
    page.goto(page.get_by_role("link", name="MLflow run").get_attribute("href"))
    assert page.url.startswith(kitchen.addresses["mlflow"])
    expect(page.get_by_text(re.compile("the networks of 5 seeds classify .* % of the actions correctly on average")).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"http://127\.0\.0\.1:\d+/dags/retrain/runs/")).first).to_be_visible()
    browser.keep("mlflow")


def test_mlflow_shows_pictures_and_the_champion_with_its_card(browser, page, kitchen: Kitchen, sample_run: MadeRun):
    run = re.search(r"http://\S+/#/experiments/\d+/runs/[0-9a-f]{32}", sample_run.output).group()
    page.goto(f"{run}/artifacts/fine-tuned/val/confusion_actions.png")
    page.wait_for_function("() => [...document.images].some(image => image.naturalWidth > 400)")
    browser.keep("confusion")
    page.goto(f"{kitchen.addresses['mlflow']}/#/models/{MODEL}")
    expect(page.get_by_text(re.compile("champion")).first).to_be_visible()
    page.goto(f"{kitchen.addresses['mlflow']}/#/models/{MODEL}/versions/1")
    expect(page.get_by_text("retake.decision_reason").first).to_be_visible()
    browser.keep("registry")


def test_the_report_opens_from_its_link_and_from_a_file_without_any_server(browser, page, trained, kitchen: Kitchen, sample_run, tmp_path):
    browser.airflow(f"{trained}/tasks/publish.report/details")
    page.goto(page.get_by_role("link", name="Report", exact=True).get_attribute("href"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(MODEL).first).to_be_visible()
    page.locator("details.why > summary").click()
    expect(page.get_by_text(re.compile("always predicting 'move bag'")).first).to_be_visible()
    page.locator("#next a[href*='/retake/'], #next a[href*='/dags/']").first.click()
    expect(page).not_to_have_url(re.compile("/retake/report/"))
    path = tmp_path / "report.html"
    path.write_bytes(kitchen.store.read_bytes(str(kitchen.result(sample_run.retrain, "report")["report_uri"])))
    other = page.context.new_page()
    requests = []
    other.on("request", lambda request: requests.append(request.url))
    other.set_viewport_size({"width": 1400, "height": 1000})
    other.goto(path.as_uri())
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    assert all(url.startswith(("file:", "data:")) for url in requests)
    Browser(other, kitchen).keep("report")
    other.close()
