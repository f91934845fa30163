"""Promote a champion by browser only: trigger form, approval, report, registry."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tasks.local.choices import SAMPLE_OPTIONS
from tasks.local.run import SAMPLE_STORE
from tests.integration.jobs.browser import Browser, open_browser

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.timeout(900)]

RUN_SECONDS = 600
MODEL = "by-hand"
COMMENT = "Looked at the mistakes."
CHOSEN = SAMPLE_OPTIONS | {"store": SAMPLE_STORE, "epochs": 2, "crops": 1, "model_name": MODEL, "promotion": "approve"}
SECTIONS = {
    "": ("store", "backbone", "epochs", "batch_size", "learning_rate", "promotion"),
    "Optimizer": ("trainable",),
    "Initial weights": ("weights",),
    "Cache and seed": ("frame_step",),
    "Evaluation": ("crops",),
    "Registration": ("model_name",),
}
"""The section of each field in the form; the first is open."""


@pytest.fixture(scope="module")
def browser(kitchen, sample_run) -> Iterator[Browser]:
    with open_browser(kitchen) as opened:
        yield opened


def fill(form: Locator, name: str, value: object) -> None:
    """Fill a field of the trigger form: a text, a number or a list of choices."""
    choices = form.locator(f"#element_{name} [role=combobox]")
    field = choices if choices.count() else form.locator(f"input[name='element_{name}']")
    field.fill(str(value))
    field.press("Enter" if choices.count() else "Tab")


def section(form: Locator, name: str) -> None:
    """Open a section of the trigger form."""
    form.get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def run_path(browser, sample_run) -> str:
    """Trigger a run from the form, after one that it rejects; return its path."""
    num_before = len(browser.kitchen.runs("retrain"))
    form = browser.trigger_form("retrain")
    fill(form, "store", "my bucket")
    form.get_by_role("button", name="Trigger").click()
    expect(browser.page.get_by_text("Failed to Trigger Dag").first).to_be_visible()
    expect(form.get_by_text(re.compile("Failed validating 'pattern'.*'my bucket'", re.DOTALL)).first).to_be_visible()
    assert len(browser.kitchen.runs("retrain")) == num_before

    form = browser.trigger_form("retrain")
    browser.keep("form")
    for title, names in SECTIONS.items():
        if title:
            section(form, title)
        for name in names:
            fill(form, name, CHOSEN[name])
    form.get_by_role("button", name="Trigger").click()
    expect(form).to_be_hidden()
    browser.kitchen.wait_for(lambda: len(browser.kitchen.runs("retrain")) > num_before)
    browser.rest()
    return browser.run_path("retrain")


@pytest.fixture(scope="module")
def approved(browser, run_path) -> str:
    """Approve the promotion, wait for the end of the run, and return its path."""
    page = browser.page
    browser.kitchen.wait_for_step("retrain", "approve", "awaiting_input", RUN_SECONDS)
    browser.airflow(f"{run_path}/tasks/publish.approve/required_actions")
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()
    expect(page.get_by_text(f"Promote {MODEL} version 1?").first).to_be_visible()
    expect(page.get_by_role("link", name="Read the report")).to_be_visible()
    expect(page.get_by_text(re.compile("Better on actions:.*passed")).first).to_be_visible()
    page.locator("#element_comment").fill(COMMENT)
    browser.keep("approve")
    with page.expect_response(lambda response: response.request.method == "PATCH" and response.ok):
        approve.click()
    browser.rest()
    browser.kitchen.wait_for_success("retrain", RUN_SECONDS)
    browser.airflow(run_path)
    for group, step in (("prepare", "weights"), ("publish", "decide")):
        page.locator(f"a[href='/dags/retrain/tasks/group/{group}']").get_by_label("Toggle group").click()
        expect(page.locator(f"a[href='/dags/retrain/tasks/{group}.{step}']").first).to_be_visible()
    browser.keep("grid")
    return run_path


def test_the_approval_is_kept_with_its_comment(browser, approved):
    decided = browser.kitchen.latest_result("retrain", "decide")
    assert (decided["promoted"], decided["decided_by"]) == (True, "admin")
    assert COMMENT in decided["reason"]
    table = browser.kitchen.store.read_bytes(f"{SAMPLE_STORE}/decisions.csv").decode()
    assert COMMENT in table


def test_the_link_leads_to_the_mlflow_run_with_its_confusion_matrix(browser, approved):
    page = browser.page
    browser.airflow(f"{approved}/tasks/publish.compare/details")
    page.goto(page.get_by_role("link", name="MLflow run").get_attribute("href"))
    expect(page.get_by_text(re.compile("the fine-tuned network classifies .* % of the actions correctly")).first).to_be_visible()
    browser.keep("mlflow")
    page.goto(f"{page.url.split('?')[0]}/artifacts/fine-tuned/val/confusion_actions.png")
    page.wait_for_function("() => [...document.images].some(image => image.naturalWidth > 400)")
    browser.keep("confusion")


def test_the_link_leads_to_the_report(browser, approved):
    page = browser.page
    browser.airflow(f"{approved}/tasks/publish.report/details")
    page.goto(page.get_by_role("link", name="Report", exact=True).get_attribute("href"))
    report = page.frame_locator("iframe").first
    expect(report.get_by_role("heading", level=1)).to_be_visible()
    expect(report.get_by_text(MODEL).first).to_be_visible()
    expect(report.get_by_text(re.compile("always predicting 'move bag'")).first).to_be_visible()


def test_the_report_opens_from_a_file_without_any_server(browser, approved, tmp_path):
    reported = browser.kitchen.latest_result("retrain", "report")
    path = tmp_path / "report.html"
    path.write_bytes(browser.kitchen.store.read_bytes(reported["report_uri"]))
    page = browser.page.context.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.goto(path.as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert all(url.startswith(("file:", "data:")) for url in requests)
    Browser(page, browser.kitchen).keep("report")
    page.close()


def test_the_champion_is_found_in_the_registry_with_its_card(browser, approved):
    page = browser.page
    page.goto(f"{browser.kitchen.addresses['mlflow']}/#/models/{MODEL}")
    expect(page.get_by_text(re.compile("champion")).first).to_be_visible()
    page.goto(f"{browser.kitchen.addresses['mlflow']}/#/models/{MODEL}/versions/1")
    expect(page.get_by_text("retake.decision_reason").first).to_be_visible()
    browser.keep("registry")
