import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags._stored import stored_result

OUT = "s3://retake/stored/"
FLAGS = ["--store=s3://retake", f"--out={OUT}"]


def test_a_result_is_read_where_a_step_leaves_it(reachable):
    reachable.write_bytes(f"{OUT}result.json", b'{"num_videos": 1}')
    assert stored_result("ingest", FLAGS) == {"num_videos": 1}


@pytest.mark.parametrize("data", [b"no json", b"[1]"])
def test_what_is_no_result_is_none(data, reachable):
    reachable.write_bytes(f"{OUT}result.json", data)
    with pytest.raises(AirflowException, match="ingest ended well, but left no result"):
        stored_result("ingest", FLAGS)


def test_keys_that_the_store_refuses_are_not_tried_again(reachable, monkeypatch):
    monkeypatch.setenv("RETAKE_STORE_SECRET_KEY", "wrong")
    with pytest.raises(AirflowFailException, match="RETAKE_STORE_SECRET_KEY"):
        stored_result("ingest", FLAGS)


def test_a_store_that_does_not_answer_is_asked_again_later(reachable, monkeypatch):
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    monkeypatch.setenv("RETAKE_STORE_ENDPOINT", "127.0.0.1:1")
    with pytest.raises(AirflowException, match="does not answer") as raised:
        stored_result("ingest", FLAGS)
    assert type(raised.value) is AirflowException
