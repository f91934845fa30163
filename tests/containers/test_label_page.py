"""The labelling page in the stack: behind Airflow's password, with a key of its own to the store."""

import httpx
import pytest

from tasks.errors import BadConfiguration
from tasks.store.layout import Dataset, Layout
from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

STORE = Layout("s3://retake")


@pytest.fixture
def page(chain, stack):
    login = {"username": "admin", "password": stack.variables["RETAKE_AIRFLOW_PASSWORD"]}
    token = httpx.post(f"{stack.airflow_url}/auth/token", json=login, timeout=60).raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "x-retake": "label"}
    with httpx.Client(base_url=f"{stack.airflow_url}/retake/label", headers=headers, timeout=60) as client:
        yield client


def test_a_stranger_sees_nothing(stack):
    assert httpx.get(f"{stack.airflow_url}/retake/label/").status_code == 401


def test_a_clip_is_seen_and_labelled(page, stack):
    (clip,) = page.get("/queue", params={"show": "all", "limit": 1}).raise_for_status().json()["clips"]
    assert page.get(f"/clips/{clip['uid']}.mp4").content[4:8] == b"ftyp"
    said = {"kind": "clip", "token": "a-test-in-containers", "uid": clip["uid"], "answer": "unsure"}
    number = page.post("/statements", json=said).raise_for_status().json()["number"]
    entry = stack.store().read(STORE.label_log.entry(number - 1))
    assert (entry.statement.token, entry.statement.by) == ("a-test-in-containers", "admin")


def test_the_key_of_the_page_opens_clips_and_labels_alone(chain, stack):
    store, steps = stack.store("LABEL"), stack.store()
    clips = [listed.uri for listed in steps.list("s3://retake/clips/")]
    assert store.read_bytes(next(uri for uri in clips if uri.endswith(".mp4")))
    source = next(listed.uri for listed in steps.list(STORE.videos) if "/source." in listed.uri)
    table = Dataset(steps.read(STORE.latest_dataset).dataset_uri).table("train")
    for uri in (source, table):
        with pytest.raises(BadConfiguration, match="AccessDenied"):
            store.read_bytes(uri)
    for uri in (clips[0], STORE.annotations.file("forged.csv"), STORE.latest_dataset.uri):
        with pytest.raises(BadConfiguration, match="AccessDenied"):
            store.write_bytes(uri, b"forged")
