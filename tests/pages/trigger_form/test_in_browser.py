"""The form filled in from an address, with the real options of retrain, in a real browser."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from playwright.sync_api import expect
from starlette.testclient import TestClient

from dags.retrain import FORM
from tasks.pages.trigger_form import make_app
from tests.http_servers import running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

GIVEN = {"learning_rate": 0.003, "head": "tcn", "mirror": False, "fuse": ["runs/a/", "runs/b/"], "store": "s3://kitchen"}
PARAMS = {name: {"value": param.value, "schema": param.schema, "description": param.description} for name, param in FORM.params().items()}


class Airflow:
    """The two requests of Airflow's API that the form makes; runs are kept."""

    def __init__(self) -> None:
        self.confs: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        self.is_logged_in = True
        self.app = FastAPI()
        self.app.mount("/here/retake/trigger", make_app(self.person, lambda address: f"/login?{urlencode({'next': address})}"))
        self.app.get("/here/api/v2/dags/retrain/details")(lambda: {"params": PARAMS})
        self.app.post("/here/api/v2/dags/retrain/dagRuns")(self.start)

    def person(self) -> None:
        if not self.is_logged_in:
            raise HTTPException(401)

    async def start(self, request: Request) -> dict[str, str]:
        if self.refusal:
            raise HTTPException(*self.refusal)
        self.confs.append((await request.json())["conf"])
        return {"dag_run_id": "manual__2026+00:00"}


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def address(airflow):
    with running(uvicorn.Server(uvicorn.Config(airflow.app, port=0, log_level="error"))) as address:
        yield address


@pytest.fixture
def show(browser, address):
    pages = []

    def show(conf: object):
        page = browser.new_page()
        pages.append(page)
        page.goto(f"{address}/here/retake/trigger/?{urlencode({'dag': 'retrain', 'conf': json.dumps(conf)})}")
        return page

    yield show
    for page in pages:
        page.close()


def test_the_values_of_the_address_are_shown_changed_and_started(airflow, show):
    page = show(GIVEN)
    expect(page.get_by_text("5 options differ")).to_be_visible()
    rate = page.get_by_label("Learning rate", exact=True)
    expect(rate).to_have_value("0.003")
    page.get_by_role("button", name="Default: 0.00001").click()
    expect(rate).to_be_focused()
    rate.fill("0.01")
    page.get_by_label("Backbone", exact=True).fill("resnet18")
    airflow.refusal = (400, "learning_rate: must be above 0")
    page.get_by_role("button", name="Trigger").click()
    expect(page.get_by_role("alert")).to_have_text("learning_rate: must be above 0")
    airflow.refusal = None
    rate.press("Enter")
    run = page.get_by_role("link", name="manual__2026+00:00")
    expect(run).to_have_attribute("href", "/here/dags/retrain/runs/manual__2026%2B00%3A00")
    assert airflow.confs == [GIVEN | {"learning_rate": 0.01, "backbone": "resnet18"}]


def test_text_of_the_address_is_never_html_and_a_stale_choice_is_shown(airflow, show):
    page = show({"<img src=x onerror=alert(1)>": 1, "head": "transformer"})
    expect(page.get_by_role("alert")).to_contain_text("retrain has no such option: <img src=x")
    page.get_by_role("button", name="Trigger").click()
    expect(page.get_by_role("alert")).to_have_text("Classification head: choose one of its values")
    expect(page.get_by_label("Classification head", exact=True)).to_be_focused()
    assert airflow.confs == []


def test_a_stranger_is_sent_to_the_login_with_the_way_back(airflow):
    airflow.is_logged_in = False
    client, path = TestClient(airflow.app, follow_redirects=False), "/here/retake/trigger/?dag=retrain"
    assert client.get(path).status_code == 401
    login = client.get(path, headers={"accept": "text/html", "host": "elsewhere.example"}).headers["location"]
    assert login == f"/login?{urlencode({'next': path})}"
