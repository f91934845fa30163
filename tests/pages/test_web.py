"""The address under which Airflow shows a report of the store."""

import pytest
from fastapi import HTTPException
from starlette.testclient import TestClient

from tasks.errors import Unavailable
from tasks.pages.web import stored_pages
from tasks.settings import report_url
from tasks.store.layout import Layout
from tests.pages.label.page import STORE, PagesKeys
from tests.pipeline.shelf import Shelf

PAGE = "s3://kitchen/runs/0123456789abcdef/decisions/0123456789abcdef/report/report.html"


@pytest.fixture
def store():
    store = Shelf(buckets=("kitchen", "kitchen-2"))
    store.write_bytes(PAGE, "<title>Bésame</title>".encode())
    store.write_bytes("s3://kitchen-2/runs/x.html", b"another store")
    store.write_bytes("s3://kitchen/runs/best.pt", b"weights")
    return store


def client(store, person=lambda: None, stores=("s3://kitchen",)):
    return TestClient(stored_pages(store, stores, person, lambda address: f"/login?next={address}"), raise_server_exceptions=False)


def test_a_page_is_shown_as_it_lies_in_the_store_in_an_origin_of_its_own(store):
    answer = client(store).get("/", params={"page": PAGE})
    assert (answer.status_code, answer.text) == (200, "<title>Bésame</title>")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize(
    "place",
    [
        Layout(STORE).run("r").decision("d").report,
        Layout(STORE).comparison_table("d", "t"),
        Layout(STORE).search("s").on("d").report,
        Layout(STORE).prediction("p").report,
    ],
    ids=["run", "comparison", "search", "prediction"],
)
def test_the_keys_of_the_pages_in_containers_open_each_kind_of_report(place):
    store = PagesKeys()
    Shelf.write_bytes(store, place.page, b"<title>Report</title>")
    assert client(store, stores=[STORE]).get("/", params={"page": place.page}).status_code == 200


@pytest.mark.parametrize("page", ["s3://kitchen-2/runs/x.html", "s3://kitchen/runs/best.pt", "s3://kitchen/none.html", "/etc/x.html", ""])
def test_nothing_else_is_shown(store, page):
    assert client(store).get("/", params={"page": page}).status_code == 404


@pytest.mark.parametrize("refusal", [(401, "Not authenticated"), (403, "Invalid JWT token")])
def test_a_stranger_is_led_to_the_login_and_back_before_anything_is_read(store, refusal):
    def stranger():
        raise HTTPException(*refusal)

    asked = client(store, stranger)
    answer = asked.get("/", params={"page": PAGE}, headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.headers["location"].startswith("/login?next=/?page=s3")
    assert asked.get("/", params={"page": PAGE}).status_code == refusal[0]


def test_a_store_that_is_down_is_said(store, monkeypatch):
    def down(uri):
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(store, "read_bytes", down)
    answer = client(store).get("/", params={"page": PAGE})
    assert (answer.status_code, answer.json()) == (503, {"detail": "the store does not answer"})


def test_steps_name_the_page_in_the_airflow_that_started_them(monkeypatch):
    monkeypatch.delenv("RETAKE_AIRFLOW_URL", raising=False)
    assert report_url(PAGE, "http://mlflow/report.html") == "http://mlflow/report.html"
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "https://airflow/base/dags/retrain/runs/7")
    assert report_url(PAGE, "") == f"https://airflow/base/retake/report/?page={PAGE}"
