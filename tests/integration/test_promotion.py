"""Who becomes champion, against a real store and a real MLflow: once, by one run alone, with a reason that is kept."""

import csv
import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow import MlflowClient

from tasks.contracts.retrain import DecideArguments, RollbackArguments
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.options import EvaluateOptions, GateOptions, TrainOptions, Weights
from tasks.promotion.champion import complete_last_move, moves
from tasks.results.decision import RollbackResult
from tasks.results.evaluation import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.results.training import Champion, PlanResult, WeightsResult
from tasks.settings import MlflowSettings, load
from tasks.steps.retrain import decide, rollback
from tasks.tracking import Registry

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STORE = "s3://retake-promotion"


@pytest.fixture(autouse=True)
def servers(workshop, monkeypatch):
    for name, value in workshop.environment.items():
        monkeypatch.setenv(name, value)
    workshop.store.ensure_bucket(STORE)


@pytest.fixture
def candidate(workshop):
    """Registers a version and leaves what the steps before `decide` would: a plan, a comparison, a registration."""
    model_name = f"model-{uuid.uuid4().hex[:8]}"
    client = MlflowClient()
    client.create_registered_model(model_name, tags={"retake.store": STORE})
    experiment = client.create_experiment(model_name)

    def make(*, champion=None, passed=True, **gate):
        run = client.create_run(experiment)
        tags = {"retake.checkpoint_uri": f"{STORE}/c", "retake.checkpoint_sha256": "0" * 64, "retake.run_key": run.info.run_id[:16]}
        version = int(
            client.create_model_version(model_name, source=f"runs:/{run.info.run_id}/model", run_id=run.info.run_id, tags=tags).version
        )
        run_uri = f"{STORE}/runs/{run.info.run_id[:16]}/"
        plan = PlanResult(
            run_key=run.info.run_id[:16],
            run_uri=run_uri,
            dataset_uri=f"{STORE}/datasets/d/",
            dataset_digest="d",
            train=TrainOptions(),
            evaluate=EvaluateOptions(),
            gate=GateOptions(**gate),
            decision_uri=f"{run_uri}decisions/1/",
            num_champions=len(moves(workshop.store, STORE, model_name)),
            model_name=model_name,
            weights=WeightsResult(
                backbone="b", network="n", weights=Weights.NONE, uri="s3://w", sha256="0", description="none", is_chance=True
            ),
            champion=champion and Champion(version=champion, checkpoint_uri="s3://c", checkpoint_sha256="0"),
            evaluations=(),
        )
        compared = CompareResult(
            split="val",
            table_uri="s3://t",
            opponent="champion" if champion else "baseline",
            champion_version=champion,
            opponent_top1=0.5,
            challenger_top1=0.6,
            differences=(),
            gate=plan.gate,
            rules=(),
            passed=passed,
            verdict="better",
            reason="60.0 % against 50.0 %",
            mlflow_run_url="http://m/r",
        )
        registered = RegisterResult(model_name=model_name, version=version, mlflow_run_id=run.info.run_id, mlflow_run_url="http://m/r")
        card_uri = f"{plan.decision_uri}report/README.md"
        reported = ReportResult(
            report_uri="s3://r",
            metrics_uri="s3://m",
            card_uri=card_uri,
            report_url="http://m/r",
            awaits_approval=compared.awaits_approval,
            approval_hours=1,
            question="?",
            mlflow_run_url="http://m/r",
        )
        workshop.store.write_bytes(card_uri, f"---\ntags: [video]\n---\n\n# Card of {plan.run_key}\n".encode())
        workshop.store.write_bytes("s3://retake-promotion/c", b"checkpoint")
        workshop.store.write(f"{plan.decision_uri}report/result.json", reported)
        workshop.store.write(f"{plan.decision_uri}plan/result.json", plan)
        workshop.store.write(f"{plan.decision_uri}compare/result.json", compared)
        workshop.store.write(f"{run_uri}register/result.json", registered)
        return plan

    return make


@pytest.fixture
def decided(workshop):
    def call(plan, **answer) -> DecideResult:
        arguments = DecideArguments(store=STORE, plan=f"{plan.decision_uri}plan/", **answer)
        return decide.run(arguments, workshop.store)

    return call


def champion_of(plan):
    found = MlflowClient().get_registered_model(plan.model_name).aliases
    return int(found["champion"]) if "champion" in found else None


def cut_off(*args):
    raise Unavailable("cut off")


def lines(workshop, plan):
    table = csv.DictReader(io.StringIO(workshop.store.read_bytes(f"{STORE}/decisions.csv").decode()))
    return [row for row in table if row["model_name"] == plan.model_name]


def version_tags(plan, version):
    return MlflowClient().get_model_version(plan.model_name, str(version)).tags


def test_of_many_who_create_an_object_one_succeeds_and_its_content_stays(workshop):
    start = threading.Barrier(8)

    def create(number):
        start.wait()
        return workshop.store.create_bytes(f"{STORE}/created.json", f"{number}".encode())

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(8)))
    assert sum(made) == 1
    assert workshop.store.read_bytes(f"{STORE}/created.json") == f"{made.index(True)}".encode()
    assert not workshop.store.create_bytes(f"{STORE}/created.json", b"later")


def test_a_version_that_passes_becomes_champion_with_its_reason(workshop, candidate, decided):
    plan = candidate()
    result = decided(plan)
    assert (result.promoted, result.champion, result.aliases) == (True, 1, ("champion",))
    (line,) = lines(workshop, plan)
    assert (line["event"], line["champion_before"], line["champion_after"]) == ("promoted", "", "1")
    tags = version_tags(plan, 1)
    assert (tags["retake.decision"], tags["retake.decision_reason"]) == ("promoted", line["reason"])
    assert MlflowClient().get_model_version(plan.model_name, "1").description == f"# Card of {plan.run_key}\n"


@pytest.mark.parametrize(
    ("gate", "passed", "answer", "promoted", "told"),
    [
        ("auto", False, {}, False, "60.0 % against 50.0 %"),
        ("never", True, {}, False, "registered only"),
        ("approve", True, {"answer": "approved", "answered_by": "ada", "comment": "seen"}, True, "approved: seen"),
        ("approve", True, {"answer": "rejected", "answered_by": "ada", "comment": "too few"}, False, "rejected: too few"),
        ("approve", True, {"answer": "no answer", "answered_by": "the time limit"}, False, "within the time limit"),
        ("approve", True, {}, False, "nobody was asked"),
        ("approve", False, {"answer": "approved", "answered_by": "ada"}, False, "60.0 % against 50.0 %"),
    ],
)
def test_a_mode_decides_with_the_rules(workshop, candidate, decided, gate, passed, answer, promoted, told):
    plan = candidate(passed=passed, promotion=gate)
    assert decided(plan, **answer).promoted == promoted
    assert (champion_of(plan) == 1) == promoted
    (line,) = lines(workshop, plan)
    assert told in line["reason"]
    assert (line["decided_by"] == "ada") == (passed and answer.get("answered_by") == "ada")


def test_two_runs_that_end_together_do_not_both_promote(workshop, candidate, decided, monkeypatch):
    plans = [candidate(), candidate()]
    both_have_looked = threading.Barrier(2)
    champion = Registry.champion

    def look(self, model_name):
        found = champion(self, model_name)
        if not both_have_looked.broken and found is None:
            both_have_looked.wait(timeout=60)
        return found

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(Registry, "champion", look)
        results = list(pool.map(decided, plans))
    assert sorted(result.promoted for result in results) == [False, True]
    winner, loser = sorted(results, key=lambda result: not result.promoted)
    assert champion_of(plans[0]) == winner.version
    assert "Decide again" in loser.reason
    assert len(lines(workshop, plans[0])) == 2


def test_a_run_that_was_compared_with_an_earlier_champion_does_not_promote(candidate, decided):
    assert decided(candidate()).promoted
    against_nobody = candidate(champion=None)
    assert not decided(against_nobody).promoted
    assert decided(candidate(champion=1)).promoted
    assert champion_of(against_nobody) == 3


@pytest.mark.parametrize("broken", ["set_alias", "set_tags"])
def test_a_decision_that_is_cut_off_is_the_same_when_tried_again(workshop, candidate, decided, monkeypatch, broken):
    plan = candidate()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, broken, cut_off)
        with pytest.raises(Unavailable):
            decided(plan)
    assert decided(plan).promoted
    assert champion_of(plan) == 1
    assert len(lines(workshop, plan)) == 1


def test_a_champion_that_was_named_while_another_was_cut_off_stays(workshop, candidate, decided, monkeypatch):
    first = candidate()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_alias", cut_off)
        with pytest.raises(Unavailable):
            decided(first)
    second = candidate()
    assert decided(second).promoted
    assert decided(first).champion == 2
    assert champion_of(first) == 2


def test_rollback_moves_the_alias_back_with_a_reason(workshop, candidate, decided):
    first = candidate()
    decided(first)
    decided(candidate(champion=1))

    def back(to, reason="worse in the evening"):
        return rollback.run(RollbackArguments(to=to, reason=reason, model_name=first.model_name, by="ada"), workshop.store)

    result: RollbackResult = back(1)
    assert (result.version, result.champion_before, champion_of(first)) == (1, 2, 1)
    last = lines(workshop, first)[-1]
    assert (last["event"], last["reason"], last["champion_before"]) == ("rolled back", "worse in the evening", "2")
    assert version_tags(first, 1)["retake.decision"] == "rolled back"
    with pytest.raises(BadInput, match="is already champion"):
        back(1)
    with pytest.raises(BadInput, match="has no version 9"):
        back(9)
    assert not decided(candidate(champion=1, passed=False)).promoted
    with pytest.raises(BadInput, match="was never champion"):
        back(3)
    assert decided(candidate(champion=1)).promoted
    assert champion_of(first) == 4


@pytest.mark.parametrize("broken", ["set_alias", "set_tags"])
def test_a_rollback_that_is_cut_off_is_completed_when_tried_again(workshop, candidate, decided, monkeypatch, broken):
    first = candidate()
    decided(first)
    decided(candidate(champion=1))
    arguments = RollbackArguments(to=1, reason="=HYPERLINK()\nworse", model_name=first.model_name, by="ada")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, broken, cut_off)
        with pytest.raises(Unavailable):
            rollback.run(arguments, workshop.store)
    assert rollback.run(arguments, workshop.store).version == 1
    assert champion_of(first) == 1
    assert [line["reason"] for line in lines(workshop, first)][2:] == ["'=HYPERLINK() worse"]


def test_a_move_of_a_run_that_never_comes_back_is_completed_by_the_next_plan(workshop, candidate, decided, monkeypatch):
    first = candidate()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_alias", cut_off)
        with pytest.raises(Unavailable):
            decided(first)
    registry = Registry.from_settings(load(MlflowSettings))
    complete_last_move(workshop.store, STORE, first.model_name, registry)
    assert champion_of(first) == 1
    assert len(lines(workshop, first)) == 1
    MlflowClient().delete_registered_model_alias(first.model_name, "champion")
    complete_last_move(workshop.store, STORE, first.model_name, registry)
    assert champion_of(first) is None, "what a person changes in MLflow stays"


def test_a_model_belongs_to_one_store(candidate):
    name = candidate().model_name
    registry = Registry.from_settings(load(MlflowSettings))
    registry.claim(name, STORE)
    with pytest.raises(BadConfiguration, match=f"are kept in {STORE}, not in s3://elsewhere"):
        registry.claim(name, "s3://elsewhere")
