"""Steps whose servers are down, or whose settings are wrong: one line that says what to do, and the exit code that tells whether a retry helps."""

import time

import pytest

from tasks.__main__ import main
from tasks.local.home_folder import REPOSITORY
from tasks.pipeline.commands import STEPS, parse
from tasks.pipeline.retrain.plan import evaluations
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.curves import CurveTrainings
from tasks.store.records.decisions import RegisterResult
from tasks.store.run_layout import Decision, Evaluations, Run
from tests.judge.gate.candidates import compared
from tests.pipeline.shelf import RUN, Shelf, manifest_of, plan_result, train_result
from tests.pipeline.test_contracts import ADDRESSES, BY_FORM, OUT, ROOT
from tests.records import some

SETTINGS = {"STORE_ENDPOINT": "127.0.0.1:9", "STORE_ACCESS_KEY": "a", "STORE_SECRET_KEY": "s", "MLFLOW_URI": "http://127.0.0.1:9"}
FLAGS = {argv[0]: argv[1:] for argv in (*ADDRESSES, *BY_FORM)} | {
    "weights": (OUT, "--backbone=tf_efficientnet_lite0", "--weights=imagenet")
}
PLAN = f"--plan={RUN}decisions/d/plan/"


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """Servers that do not answer, and no pauses between the tries."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"RETAKE_{name}", value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def attempt(caplog):
    """The exit code of a step and the last line of its log."""

    def call(step, *flags, store=ROOT):
        caplog.clear()
        code = main([*step.split(), f"--store={store}", *flags])
        assert "\n" not in caplog.messages[-1]
        return code, caplog.messages[-1]

    return call


@pytest.mark.parametrize("step", STEPS)
def test_a_store_that_is_down_is_temporary(attempt, step):
    code, line = attempt(step, *FLAGS[step])
    assert (code, "the object store at 127.0.0.1:9 does not answer" in line) == (75, True), line


@pytest.fixture
def planned(monkeypatch):
    """A store in memory with a training that was compared and registered, and not decided on; its networks have no scores."""
    made = Shelf()
    plan = plan_result(tuple(evaluations(Evaluations(f"{RUN}e/"), ["train", "val"], "val", None)))
    run, decision = Run(RUN), Decision(plan.decision_uri)
    records = {
        decision.plan.uri: plan,
        f"{ROOT}/w/result.json": plan.weights,
        run.train.uri: train_result(f"{RUN}c.ckpt", "0" * 64),
        run.learning_curve.uri: some(CurveTrainings, equal="epochs", scored_epoch="last", trainings=()),
        run.register.uri: RegisterResult(model_name="m", version=1, mlflow_run_id="r", mlflow_run_url="u"),
        decision.compare.uri: compared(plan.gate),
    }
    for uri, record in records.items():
        made.write(uri, record)
    made.write(Dataset(plan.dataset_uri).manifest, manifest_of(()))
    monkeypatch.setattr(Store, "from_settings", lambda settings: made)
    return made


@pytest.mark.parametrize(
    ("step", "flags"),
    [
        ("plan", (f"--weights-result={ROOT}/w/", "--dataset=s3://retake/datasets/x/")),
        *((step, (PLAN,)) for step in ("train", "evaluate", "learning_curve", "compare", "report", "register", "decide")),
    ],
)
def test_an_mlflow_that_is_down_is_temporary_and_nothing_is_written(attempt, planned, step, flags):
    _, arguments = parse([step, f"--store={ROOT}", *flags])
    planned.objects.pop(STEPS[step].address(arguments).uri, None)
    before = dict(planned.objects)
    code, line = attempt(step, *flags)
    assert (code, "MLflow at http://127.0.0.1:9 does not answer" in line) == (75, True), line
    assert planned.objects == before


@pytest.mark.parametrize(
    ("step", "flags", "code", "told"),
    [
        ("ingest", (OUT, "--sources=/no/such/folder"), 65, "/no/such/folder does not exist"),
        ("ingest", (OUT, f"--sources={REPOSITORY / 'Makefile'}"), 65, "no usable video"),
        ("ingest", (OUT,), 99, f"put videos under {ROOT}/inbox/"),
        ("label", (), 65, "run ingest_videos"),
        ("weights", (OUT, "--backbone=resnet5000", "--weights=imagenet"), 78, "'resnet5000' is unknown; did you mean"),
        ("weights", (OUT, "--epochs=0"), 78, "--epochs"),
        ("split", (f"--labels={ROOT}/x/", "--val-share=0.7", "--test-share=0.4"), 78, "leave nothing to train on"),
        ("plan", (f"--weights-result={ROOT}/x/",), 99, "run ingest_videos and build_dataset first"),
        ("train", (PLAN.replace("0123", "4567"),), 65, "/runs/4567/decisions/d/plan/result.json"),
    ],
)
def test_what_cannot_work_is_one_line_with_its_exit_code(attempt, planned, step, flags, code, told):
    before = dict(planned.objects)
    given, line = attempt(step, *flags)
    assert (given, told in line) == (code, True), line
    assert planned.objects == before


@pytest.mark.parametrize("endpoint", ["http://localhost:9000", ""])
def test_wrong_settings_are_named(attempt, monkeypatch, endpoint):
    monkeypatch.setenv("RETAKE_STORE_ENDPOINT", endpoint)
    code, line = attempt("label")
    assert (code, "RETAKE_STORE_ENDPOINT" in line) == (78, True), line
