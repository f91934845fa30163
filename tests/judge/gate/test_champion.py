"""Who becomes champion: by one run alone, with a reason that is kept, whatever is cut off on the way."""

from itertools import count

import pytest

from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.judge.gate import champion
from tasks.judge.gate.champion import complete_last_move
from tasks.pipeline.retrain import decide
from tasks.settings import MlflowSettings, load
from tasks.store.run_layout import Decision
from tasks.tracking import Registry
from tests.judge.gate.candidates import Candidates, cut_off
from tests.pipeline.mlflow_in_memory import mlflow
from tests.pipeline.shelf import Shelf

__all__ = ["mlflow"]

STORE = "s3://retake"


@pytest.fixture
def candidates(mlflow, monkeypatch):
    """Decisions a second apart; within a millisecond, the table cannot tell which was first."""
    times = map("2026-01-01T00:00:{:02}.000Z".format, count())
    for module in (champion, decide):
        monkeypatch.setattr(module, "now_utc", lambda: next(times))
    return Candidates(Shelf(), mlflow, STORE, "m")


@pytest.fixture
def registry(mlflow):
    return Registry(load(MlflowSettings))


def test_a_version_that_passes_becomes_champion_with_its_reason(candidates):
    plan = candidates.make()
    result = candidates.decide(plan)
    assert (result.promoted, result.champion, result.aliases) == (True, 1, ("champion",))
    assert candidates.decide(plan) == result
    (line,) = candidates.lines()
    assert (line["event"], line["champion_before"], line["champion_after"]) == ("promoted", "", "1")
    tags = candidates.tags(1)
    assert (tags["retake.decision"], tags["retake.decision_reason"]) == ("promoted", line["reason"])
    version = candidates.client.get_model_version("m", "1")
    assert version.description == f"Card of {plan.run_key}\n"
    run = candidates.client.get_run(version.run_id)
    assert (run.info.status, run.data.tags["retake.decision"]) == ("FINISHED", "promoted")


@pytest.mark.parametrize(
    ("gate", "passed", "answer", "promoted", "told"),
    [
        ("auto", False, {}, False, "60.0 % against 50.0 %"),
        ("never", True, {}, False, "registered only"),
        ("approve", True, {"answer": "approved", "answered_by": "ada", "comment": "seen."}, True, "approved: seen;"),
        ("approve", True, {"answer": "rejected", "answered_by": "ada", "comment": "too few"}, False, "rejected: too few"),
        ("approve", True, {"answer": "no answer", "answered_by": "the time limit"}, False, "within the time limit"),
        ("approve", True, {}, False, "nobody was asked"),
        ("approve", False, {"answer": "approved", "answered_by": "ada"}, False, "60.0 % against 50.0 %"),
    ],
)
def test_a_mode_decides_with_the_rules(candidates, gate, passed, answer, promoted, told):
    plan = candidates.make(passed=passed, promotion=gate)
    assert candidates.decide(plan, **answer).promoted == promoted
    assert (candidates.champion == 1) == promoted
    (line,) = candidates.lines()
    assert told in line["reason"]
    assert (line["decided_by"] == "ada") == (passed and answer.get("answered_by") == "ada")


@pytest.mark.parametrize(
    ("gate", "answer", "promoted"),
    [("auto", {}, True), ("approve", {"answer": "approved"}, True), ("approve", {"answer": "rejected"}, False)],
)
def test_a_first_network_that_did_not_pass_becomes_provisional_champion(candidates, gate, answer, promoted):
    result = candidates.decide(candidates.make(passed=False, provisional=True, promotion=gate), **answer)
    assert (result.promoted, result.provisional, candidates.champion) == (promoted, promoted, 1 if promoted else None)
    (line,) = candidates.lines()
    assert (line["provisional"], candidates.tags(1)["retake.provisional"]) == (str(promoted), str(promoted).lower())
    assert "the rules would let it pass" not in line["reason"]
    outcome = ": it became the provisional champion" if promoted else ", and it was not promoted"
    assert line["reason"].endswith(f"60.0 % against 50.0 %. Not all rules passed{outcome}")


def test_an_older_comparison_without_a_consequence_gets_a_reason_that_says_what_became_of_its_network(candidates):
    plan = candidates.make(passed=False, provisional=True)
    place = Decision(plan.decision_uri).compare
    said = "Not all rules passed, but no other network is champion: it becomes the provisional champion if there is still no champion"
    candidates.store.write(place, candidates.store.read(place).model_copy(update={"reason": f"60.0 %. {said}", "consequence": ""}))
    assert candidates.decide(plan).reason == "60.0 %. Not all rules passed: it became the provisional champion"


def test_a_champion_is_provisional_until_it_is_replaced_or_passes(candidates, registry):
    first = candidates.make(passed=False, provisional=True)
    candidates.decide(first)
    assert registry.champion("m").provisional
    assert not candidates.decide(candidates.make(champion=1, passed=False)).promoted
    again = candidates.decide(candidates.again(first, passed=False, provisional=True))
    assert (again.promoted, again.provisional, registry.champion("m").provisional) == (False, True, True)
    assert again.reason.endswith("it became the provisional champion")
    assert candidates.decide(candidates.again(first, passed=True)).promoted
    assert (registry.champion("m").version, registry.champion("m").provisional) == (1, False)


def test_a_run_that_was_compared_with_an_earlier_champion_does_not_promote(candidates):
    assert candidates.decide(candidates.make()).promoted
    assert not candidates.decide(candidates.make(champion=None)).promoted
    assert candidates.decide(candidates.make(champion=1)).promoted
    assert candidates.champion == 3
    late = candidates.make(champion=3)
    candidates.client.delete_registered_model_alias("m", "champion")
    assert "compared with champion version 3, but meanwhile no version is champion" in candidates.decide(late).reason


@pytest.fixture
def interrupted(monkeypatch):
    """Call something while MLflow is cut off from one call on."""

    def interrupted(call, *arguments, broken="set_alias"):
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(Registry, broken, cut_off)
            call(*arguments)

    return interrupted


@pytest.mark.parametrize("broken", ["set_alias", "set_tags"])
def test_a_decision_or_a_rollback_that_is_cut_off_is_the_same_when_tried_again(candidates, interrupted, broken):
    plan = candidates.make()
    interrupted(candidates.decide, plan, broken=broken)
    assert candidates.decide(plan).promoted
    assert (candidates.champion, len(candidates.lines())) == (1, 1)
    candidates.decide(candidates.make(champion=1))
    reason = "=HYPERLINK()\nworse"
    interrupted(candidates.roll_back, 1, reason, broken=broken)
    assert candidates.roll_back(1, reason).version == 1
    assert candidates.champion == 1
    assert [line["reason"] for line in candidates.lines()][2:] == ["'=HYPERLINK() worse"]


def test_a_champion_that_was_named_while_another_was_cut_off_stays(candidates, interrupted):
    first = candidates.make()
    interrupted(candidates.decide, first)
    assert candidates.decide(candidates.make()).promoted
    assert candidates.decide(first).champion == 2
    assert candidates.champion == 2


def test_a_provisional_champion_that_is_replaced_is_no_longer_marked_until_it_is_rolled_back_to(candidates, registry):
    def marks():
        return [candidates.tags(version)["retake.provisional"] for version in (1, 2)]

    candidates.decide(candidates.make(passed=False, provisional=True))
    assert candidates.decide(candidates.make(champion=1)).promoted
    assert (registry.champion("m").version, registry.champion("m").provisional) == (2, False)
    assert marks() == ["false", "false"]
    candidates.roll_back(1)
    assert marks() == ["true", "false"]
    candidates.roll_back(2)
    assert marks() == ["false", "false"]


def test_rollback_moves_the_alias_back_with_a_reason(candidates):
    candidates.decide(candidates.make())
    candidates.decide(candidates.make(champion=1))
    assert (candidates.roll_back(1).champion_before, candidates.champion) == (2, 1)
    last = candidates.lines()[-1]
    assert (last["event"], last["reason"], last["champion_before"]) == ("rolled back", "worse in the evening", "2")
    assert candidates.tags(1)["retake.decision"] == "rolled back"
    assert not candidates.decide(candidates.make(champion=1, passed=False)).promoted
    for to, told in ((1, "is already champion"), (9, "has no version 9"), (3, "was never champion")):
        with pytest.raises(BadInput, match=told):
            candidates.roll_back(to)
    assert candidates.decide(candidates.make(champion=1)).promoted
    assert candidates.champion == 4
    candidates.store.remove(f"{STORE}/c")
    with pytest.raises(BadInput, match="is gone"):
        candidates.roll_back(2)


def test_a_move_of_a_run_that_never_comes_back_is_completed_by_the_next_plan(candidates, registry, interrupted):
    interrupted(candidates.decide, candidates.make())
    complete_last_move(candidates.store, STORE, "m", registry)
    assert candidates.champion == 1
    assert len(candidates.lines()) == 1
    candidates.client.delete_registered_model_alias("m", "champion")
    complete_last_move(candidates.store, STORE, "m", registry)
    assert candidates.champion is None, "what a person changes in MLflow stays"


def test_the_version_before_is_the_latest_that_retake_registered_before_this_one(candidates, registry):
    keys = [candidates.make().run_key for _ in range(11)]
    candidates.client.create_model_version("m", source="", run_id=None, tags={})
    assert registry.previous("m", "new").version == 11
    assert [version and version.version for version in (registry.previous("m", keys[0]), registry.previous("m", keys[10]))] == [None, 10]
    for version in ("3", "7"):  # as registered by hand
        candidates.client.delete_model_version_tag("m", version, "retake.run_key")
    assert registry.previous("m", keys[3]).version == 3


def test_a_model_belongs_to_one_store(candidates, registry):
    registry.claim("m", STORE)
    with pytest.raises(BadConfiguration, match=f"are kept in {STORE}, not in s3://elsewhere"):
        registry.claim("m", "s3://elsewhere")
    with pytest.raises(BadConfiguration, match=f"are kept in {STORE}, not in s3://elsewhere"):
        registry.register("m", "s3://elsewhere", "run", "planned before the model was made", model=None, card=None)
    candidates.client.create_registered_model("unclaimed")
    registry.claim("unclaimed", "s3://elsewhere")
    assert registry.store_of("unclaimed") == "s3://elsewhere"


def test_a_champion_that_somebody_else_registered_is_named_with_the_remedy(candidates, registry):
    candidates.client.create_model_version("m", source="", run_id=None, tags={})
    candidates.client.set_registered_model_alias("m", "champion", "1")
    with pytest.raises(BadConfiguration, match="Retake did not register it and cannot evaluate it; remove the alias champion"):
        registry.champion("m")
    with pytest.raises(BadInput, match="was not registered by Retake"):
        registry.version("m", 1)
