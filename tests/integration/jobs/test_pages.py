"""Open the pages after a run in a real Chromium: Airflow's grid, form and logs, and the evidence in MLflow."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.integration.jobs.browser import Browser, open_browser

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def browser(kitchen, sample_run) -> Iterator[Browser]:
    with open_browser(kitchen) as opened:
        yield opened


@pytest.fixture
def page(browser):
    return browser.page


@pytest.fixture
def airflow(browser):
    return browser.airflow


def test_the_list_has_the_three_dags_without_import_errors(page, airflow):
    airflow("/dags")
    for dag_id in ("ingest_videos", "build_dataset", "retrain"):
        expect(page.get_by_role("link", name=dag_id, exact=True)).to_be_visible()
    expect(page.get_by_text("Import Error")).to_have_count(0)


def test_the_grid_has_every_step_of_the_run(browser, page, airflow, kitchen):
    path = browser.run_path("retrain")
    airflow(path)
    for group in ("prepare", "publish"):
        page.locator(f"a[href='/dags/retrain/tasks/group/{group}']").get_by_label("Toggle group").click()
    for task in ("prepare.weights", "prepare.plan", "train", "publish.compare", "publish.report", "publish.register", "publish.decide"):
        expect(page.locator(f"a[href='{path}/tasks/{task}']").first).to_be_visible()
    expect(page.locator(f"a[href='{path}/tasks/evaluate/mapped']").first).to_be_visible()


def test_mapped_tasks_are_named_by_what_they_do(browser, page, airflow, kitchen):
    airflow(f"{browser.run_path('retrain')}/tasks/evaluate/mapped")
    for name in ("baseline", "fine-tuned"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_a_run_is_started_from_the_form_and_its_note_is_read_in_the_log(browser, page, airflow, kitchen):
    form = browser.trigger_form("ingest_videos")
    for title in ("Sources", "Clip length, seconds", "Store"):
        expect(form.get_by_text(title).first).to_be_visible()
    expect(form.get_by_text("Allowed: 5 to 60")).to_be_visible()
    expect(form.get_by_text("Maximum video size, MiB")).to_be_hidden()
    num_before = len(kitchen.runs("ingest_videos"))
    form.get_by_role("button", name="Trigger").click()
    expect(form).to_be_hidden()
    browser.rest()
    kitchen.wait_for(lambda: len([run for run in kitchen.runs("ingest_videos") if run["state"] == "success"]) > num_before)
    airflow(f"{browser.run_path('ingest_videos')}/tasks/ingest")
    expect(page.get_by_text(re.compile("the inbox is empty; put videos under s3://retake/inbox/")).first).to_be_visible()


def test_the_forms_limits_hold(browser):
    form = browser.trigger_form("retrain")
    epochs = form.locator("input[name='element_epochs']")
    epochs.fill("0")
    epochs.blur()
    expect(epochs).to_have_value("1")
    expect(form.get_by_text("Allowed: 1 to 1000").first).to_be_visible()


def test_a_form_is_filled_in_from_an_address_and_starts_a_run(browser, page, airflow, kitchen):
    num_before = len(kitchen.runs("ingest_videos"))
    conf = {"max_video_minutes": 7, "sources": []}
    airflow(f"/retake/trigger/?{urlencode({'dag': 'ingest_videos', 'conf': json.dumps(conf)})}")
    expect(page.get_by_label("Maximum video length, minutes")).to_have_value("7")
    page.get_by_role("button", name="Trigger").click()
    run = page.get_by_role("status").get_by_role("link")
    expect(run).to_have_attribute("href", re.compile("^/dags/ingest_videos/runs/manual"))
    browser.rest()
    kitchen.wait_for(lambda: len([run for run in kitchen.runs("ingest_videos") if run["state"] == "success"]) > num_before)
    assert kitchen.runs("ingest_videos")[0]["conf"] == {"max_video_minutes": 7}


def test_the_labelling_page_is_in_the_navigation_and_knows_the_clips(browser, page, airflow):
    airflow("/")
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


def test_airflow_leads_to_mlflow_and_back(browser, page, airflow, kitchen):
    path = browser.run_path("retrain")
    airflow(f"{path}/tasks/train/details")
    there = page.get_by_role("link", name="MLflow run").get_attribute("href")
    assert there.startswith(kitchen.addresses["mlflow"])
    page.goto(there)
    expect(page.get_by_text(re.compile(r"the fine-tuned network classifies .* % of the actions correctly")).first).to_be_visible()
    back = page.get_by_text(re.compile(r"http://127\.0\.0\.1:\d+/dags/retrain/runs/")).first
    expect(back).to_be_visible()


def test_mlflow_shows_metrics_pictures_and_the_model(page, kitchen, sample_run):
    run = re.search(r"http://\S+/#/experiments/\d+/runs/[0-9a-f]{32}", sample_run).group()
    page.goto(f"{run}/artifacts/fine-tuned/val/loss_per_clip.png")
    page.wait_for_function("() => [...document.images].some(image => image.naturalWidth > 400)")
    page.goto(f"{kitchen.addresses['mlflow']}/#/models/retake-tsn-sample")
    expect(page.get_by_text(re.compile("champion")).first).to_be_visible()
