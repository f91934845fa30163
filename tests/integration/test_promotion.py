"""Who becomes champion, on a real store and a real MLflow: one run alone, also where another ends at the same time or is cut off."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import count, repeat

import pytest
from mlflow import MlflowClient

from tasks.errors import Unavailable
from tasks.tracking import Registry
from tests.judge.gate.candidates import Candidates, cut_off

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORE = "s3://retake-promotion"


@pytest.fixture
def candidates(workshop, monkeypatch):
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)
    workshop.store.ensure_bucket(STORE)
    return Candidates(workshop.store, MlflowClient(), STORE, f"model-{uuid.uuid4().hex[:8]}")


def test_of_many_who_create_or_replace_an_object_one_succeeds_and_its_content_stays(workshop):
    uri = f"{STORE}/created.json"
    workshop.store.ensure_bucket(STORE)

    def write(number, earlier, start):
        start.wait()
        return workshop.store.replace_bytes(uri, f"{number}".encode(), earlier)

    for number in (0, 8):
        earlier = workshop.store.stat(uri)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(write, range(number, number + 8), repeat(earlier), repeat(threading.Barrier(8))))
        assert sum(made) == 1
        assert workshop.store.read_bytes(uri) == f"{number + made.index(True)}".encode()
    assert not workshop.store.create_bytes(uri, b"later")
    seen = workshop.store.stat(uri)
    workshop.store.delete([uri])
    assert not workshop.store.replace_bytes(uri, b"later", seen)


def test_two_runs_that_end_together_do_not_both_promote(candidates, monkeypatch):
    plans = [candidates.make(), candidates.make()]
    both_have_looked, looks = threading.Barrier(2), count()
    champion = Registry.champion

    def look(self, model_name):
        current = champion(self, model_name)
        if next(looks) < 2:
            both_have_looked.wait(timeout=60)
        return current

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(Registry, "champion", look)
        results = list(pool.map(candidates.decide, plans))
    loser, winner = sorted(results, key=lambda result: result.promoted)
    assert (loser.promoted, winner.promoted) == (False, True)
    assert candidates.champion == winner.version
    assert "Decide again" in loser.reason
    assert len(candidates.lines()) == 2


def test_a_promotion_and_a_rollback_that_are_cut_off_are_completed_when_tried_again(candidates, monkeypatch):
    def cut_off_and_try_again(move):
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(Registry, "set_alias", cut_off)
            move()
        return move()

    plan = candidates.make()
    assert cut_off_and_try_again(lambda: candidates.decide(plan)).aliases == ("champion",)
    assert candidates.decide(candidates.make(champion=1)).champion == 2
    assert cut_off_and_try_again(lambda: candidates.roll_back(1)).version == 1
    assert candidates.champion == 1
    assert [(line["event"], line["champion_after"]) for line in candidates.lines()] == [
        ("promoted", "1"),
        ("promoted", "2"),
        ("rolled back", "1"),
    ]
    assert candidates.tags(1)["retake.decision"] == "rolled back"
    assert candidates.client.get_model_version(candidates.model_name, "1").description == f"Card of {plan.run_key}\n"
