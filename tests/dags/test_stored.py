import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags._stored import stored_result
from tests.dags.conftest import tell_where

OUT = "s3://retake/stored/"
FLAGS = ["--store=s3://retake", f"--out={OUT}"]


def test_a_result_is_read_where_a_step_leaves_it(shelf):
    shelf.write_bytes(f"{OUT}result.json", b'{"num_videos": 1}')
    assert stored_result("ingest", FLAGS) == {"num_videos": 1}


@pytest.mark.parametrize("data", [b"no json", b"[1]"])
def test_what_is_no_result_is_none(data, shelf):
    shelf.write_bytes(f"{OUT}result.json", data)
    with pytest.raises(AirflowException, match="ingest ended well, but left no result"):
        stored_result("ingest", FLAGS)


def test_settings_that_are_missing_are_not_tried_again(monkeypatch):
    monkeypatch.delenv("RETAKE_STORE_SECRET_KEY", raising=False)
    with pytest.raises(AirflowFailException, match="RETAKE_STORE_SECRET_KEY"):
        stored_result("ingest", FLAGS)


def test_a_store_that_does_not_answer_is_asked_again_later(monkeypatch):
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    tell_where(monkeypatch, "127.0.0.1:1")
    with pytest.raises(AirflowException, match="does not answer") as raised:
        stored_result("ingest", FLAGS)
    assert type(raised.value) is AirflowException
